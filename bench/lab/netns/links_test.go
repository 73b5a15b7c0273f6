package netns

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/link/tun"
)

func TestLinksDelayBothProtocols(t *testing.T) {
	n := openedLinks(t)
	delayed := shape.Always(shape.Shape{Delay: 15 * time.Millisecond})
	if err := n.SetLink(0, delayed, delayed); err != nil {
		t.Fatal(err)
	}
	h1, h2 := inside(t, n, 0), inside(t, n, 1)
	began := time.Now()
	if !reaches(t, h1, h2, "there", 100) || !reaches(t, h2, h1, "back", 100) {
		t.Fatal("no datagram came through")
	}
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("datagrams there and back took %v, the link's delays are 30 ms", took)
	}
	// The handshake and one word each way: two round trips.
	ln := listenIn(t, n, 1, func(c net.Conn) { _, _ = io.Copy(c, c) })
	began = time.Now()
	c := dialIn(t, n, 0, ln.Addr().String())
	if _, err := io.WriteString(c, "word"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("a connection and a word took %v, the link's delays are 60 ms", took)
	}
}

// TestLinksLoseAndLimitTCP has the kernels send again what was lost.
func TestLinksLoseAndLimitTCP(t *testing.T) {
	n := openedLinks(t)
	const rate, loss, size = 40e6, 0.01, 2 << 20
	bad := shape.Always(shape.Shape{Delay: time.Millisecond, Rate: rate, Loss: loss, Reorder: 0.02, HoldBack: 2 * time.Millisecond})
	if err := n.SetLink(0, bad, shape.Always(shape.Shape{})); err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1)
	ln := listenIn(t, n, 1, func(c net.Conn) {
		body, _ := io.ReadAll(c)
		sum := sha256.Sum256(body)
		got <- sum[:]
	})
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	c := dialIn(t, n, 0, ln.Addr().String())
	began := time.Now()
	if _, err := c.Write(body); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	select {
	case sum := <-got:
		if want := sha256.Sum256(body); !bytes.Equal(sum, want[:]) {
			t.Error("other bytes came than were sent")
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the bytes did not come")
	}
	if took, least := time.Since(began), time.Duration(size*8/rate*1e9); took < least {
		t.Errorf("took %v, at %v bit/s it takes %v", took, rate, least)
	}
	up, down, _ := n.LinkReport(0)
	sent := float64(up.Packets + up.Lost + up.Dropped)
	if sd := math.Sqrt(loss * (1 - loss) * sent); math.Abs(float64(up.Lost)-loss*sent) > 5*sd || up.Lost == 0 {
		t.Errorf("lost %d of %.0f packets at %v", up.Lost, sent, loss)
	}
	if up.Overtaken == 0 || up.Bytes < size || down.Lost != 0 || down.Packets == 0 {
		t.Errorf("up %+v, down %+v", up, down)
	}
}

func listenIn(t *testing.T, n *Net, i int, serve func(net.Conn)) (ln net.Listener) {
	t.Helper()
	err := tun.In(n.Path(i), func() (err error) {
		ln, err = net.Listen("tcp4", netip.AddrPortFrom(n.hosts[i], 0).String())
		return err
	})
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
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln
}

func dialIn(t *testing.T, n *Net, i int, addr string) (c net.Conn) {
	t.Helper()
	err := tun.In(n.Path(i), func() (err error) {
		c, err = net.Dial("tcp4", addr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
