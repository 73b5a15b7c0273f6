package history

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echoed dials an echo server over a link.
func echoed(t *testing.T) (*link, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	ls, err := openLinks([]string{ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ls.Close() }) // before the server ends: it waits for the connection
	l := ls.to("127.0.0.1")[0]
	c, err := net.Dial("tcp", ls.via()[ln.Addr().String()])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return l, c
}

// exchange sends a word and waits for its echo.
func exchange(c net.Conn, word string, within time.Duration) error {
	if _, err := io.WriteString(c, word); err != nil {
		return err
	}
	return receive(c, word, within)
}

func receive(c net.Conn, word string, within time.Duration) error {
	_ = c.SetReadDeadline(time.Now().Add(within))
	buf := make([]byte, len(word))
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	if string(buf) != word {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func TestCutLinkHoldsWhatIsUnderWay(t *testing.T) {
	for name, cut := range map[string][2]bool{"both ways": {true, true}, "to the store": {true, false}, "from the store": {false, true}} {
		t.Run(name, func(t *testing.T) {
			l, c := echoed(t)
			if err := exchange(c, "one", 5*time.Second); err != nil {
				t.Fatal(err)
			}
			l.cut(cut[0], cut[1])
			if err := exchange(c, "two", 50*time.Millisecond); !os.IsTimeout(err) {
				t.Fatalf("over a cut link: %v", err)
			}
			l.heal(false)
			if err := receive(c, "two", 5*time.Second); err != nil {
				t.Errorf("what was under way: %v", err)
			}
			if err := exchange(c, "three", 5*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestResetLinkLosesWhatIsUnderWay(t *testing.T) {
	l, c := echoed(t)
	l.cut(false, true)
	if err := exchange(c, "one", 50*time.Millisecond); !os.IsTimeout(err) {
		t.Fatalf("over a cut link: %v", err)
	}
	l.heal(true)
	if err := receive(c, "one", 5*time.Second); err == nil {
		t.Error("the connection survived its reset")
	}
}
