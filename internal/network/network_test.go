package network_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/network"
)

// stuck dials until its context ends.
type stuck struct{ network.OS }

func (stuck) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestOSOpensEveryKindOfSocket(t *testing.T) {
	n := network.Or(nil, network.OS{})
	ctx := t.Context()
	ln, err := n.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, ok := ln.Addr().(*net.TCPAddr); !ok {
		t.Errorf("listener's address is a %T", ln.Addr())
	}
	got := make(chan string, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			got <- err.Error()
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c)
		got <- string(b)
	}()
	c, err := network.DialWithin(n, time.Minute)(ctx, "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if s := <-got; s != "hello" {
		t.Errorf("read %q", s)
	}
	pc, err := n.ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if _, ok := pc.LocalAddr().(*net.UDPAddr); !ok {
		t.Errorf("packet socket's address is a %T", pc.LocalAddr())
	}
}

func TestDialWithinEndsADialThatHangs(t *testing.T) {
	_, err := network.DialWithin(stuck{}, time.Millisecond)(t.Context(), "tcp", "127.0.0.1:1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}
