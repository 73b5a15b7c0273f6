package admission

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// A crowd at one listener had all descriptors of the process: no other was served, and no
// file could be opened.
func TestACrowdAtOneListenerLeavesDescriptorsToOthers(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = 320
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	}()
	open := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l = NewConns(4096, 4096).Listen(l)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
			}
		}()
		return l
	}
	crowded, other := open(), open()
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			_ = c.Close()
		}
	}()
	for range 100 { // each has two: the test is client and server
		c, err := net.Dial("tcp", crowded.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	served := 0
	for _, c := range crowd {
		if _, err := c.Write([]byte("x")); err == nil {
			if n, _ := c.Read(make([]byte, 1)); n == 1 {
				served++
			}
		}
	}
	if most := 320 / listeners; served > most || served == 0 {
		t.Errorf("%d of 100 are served, want at most %d", served, most)
	}
	c, err := net.Dial("tcp", other.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err = c.Write([]byte("x")); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err != nil {
		t.Errorf("at the other listener: %v", err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Errorf("a file: %v", err)
	} else {
		_ = f.Close()
	}
}
