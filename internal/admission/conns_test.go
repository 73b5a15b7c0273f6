package admission

import (
	"errors"
	"net"
	"testing"
)

func TestOneAddressHasItsShareOfConnections(t *testing.T) {
	c := NewConns(5, 2)
	from := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }
	var leave []func()
	for i, try := range []struct {
		ip string
		ok bool
	}{{"10.0.0.1", true}, {"10.0.0.1", true}, {"10.0.0.1", false}, {"10.0.0.2", true}, {"2001:db8::1", true}, {"2001:db8::2", true}, {"10.0.0.3", false}} {
		l, err := c.Enter(from(try.ip))
		if (err == nil) != try.ok || err != nil && !errors.Is(err, ErrTooManyConns) {
			t.Fatalf("%d, %s: %v", i, try.ip, err)
		}
		if l != nil {
			leave = append(leave, l)
		}
	}
	for _, l := range leave {
		l()
		l() // counts once
	}
	if c.Open() != 0 || len(c.of) != 0 {
		t.Errorf("%d open, %v", c.Open(), c.of)
	}
}

func TestAListenerClosesWhatIsBeyondItsBounds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conns := NewConns(10, 1)
	accepted := make(chan net.Conn)
	go func() {
		in := conns.Listen(l)
		for {
			c, err := in.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := dial()
	defer first.Close()
	in := <-accepted
	second := dial()
	defer second.Close()
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("the second is not closed")
	}
	_ = in.Close()
	third := dial()
	defer third.Close()
	(<-accepted).Close()
	if conns.Open() != 0 {
		t.Errorf("%d are open", conns.Open())
	}
}
