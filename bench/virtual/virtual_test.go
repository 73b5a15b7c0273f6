package virtual_test

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/internal/network"
)

var _ network.Network = (*virtual.Host)(nil)

// pair is a network of two hosts; the first sends through up.
func pair(t *testing.T, seed uint64, up virtual.LinkConfig) (n *virtual.Net, a, b *virtual.Host) {
	t.Helper()
	n = virtual.New(seed)
	a, err := n.Host("10.0.0.1", up, virtual.LinkConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err = n.Host("10.0.0.2", virtual.LinkConfig{}, virtual.LinkConfig{}); err != nil {
		t.Fatal(err)
	}
	return n, a, b
}

// burst sends n datagrams of size bytes at once and returns when each arrived, by number.
func burst(t *testing.T, seed uint64, up virtual.LinkConfig, n, size int) map[byte]time.Duration {
	t.Helper()
	got := map[byte]time.Duration{}
	synctest.Test(t, func(t *testing.T) {
		network, a, b := pair(t, seed, up)
		defer network.Close()
		from, err := a.ListenPacket(t.Context(), "udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		to, err := b.ListenPacket(t.Context(), "udp", "10.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for i := range n {
			p := make([]byte, size)
			p[0] = byte(i)
			if _, err := from.WriteTo(p, to.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		_ = to.SetReadDeadline(began.Add(time.Hour))
		p := make([]byte, 2000)
		for {
			k, _, err := to.ReadFrom(p)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil || k != size {
				t.Fatalf("%d bytes, %v", k, err)
			}
			got[p[0]] = time.Since(began)
		}
	})
	return got
}

func TestALinkSerialisesAndDelays(t *testing.T) {
	// 1,222 + 28 bytes at 10 Mbit/s are exactly 1 ms.
	got := burst(t, 1, virtual.LinkConfig{Rate: 10e6, Delay: 15 * time.Millisecond, Queue: 1 << 20}, 100, 1222)
	for i := range 100 {
		want := time.Duration(i+1)*time.Millisecond + 15*time.Millisecond
		if got[byte(i)] != want {
			t.Fatalf("datagram %d came at %v, want %v", i, got[byte(i)], want)
		}
	}
}

func TestAQueueDropsWhatDoesNotFit(t *testing.T) {
	got := burst(t, 1, virtual.LinkConfig{Rate: 10e6, Queue: 12500}, 100, 1222)
	if len(got) != 10 {
		t.Errorf("%d datagrams passed a queue of ten", len(got))
	}
}

func TestALinkFollowsItsSteps(t *testing.T) {
	steps := []virtual.Step{{For: 10 * time.Millisecond, Rate: 10e6}, {For: 20 * time.Millisecond}, {For: time.Hour, Rate: 20e6}}
	got := burst(t, 1, virtual.LinkConfig{Steps: steps, Queue: 1 << 20}, 12, 1222)
	for i, want := range map[byte]time.Duration{9: 10 * time.Millisecond, 10: 30*time.Millisecond + 500*time.Microsecond, 11: 31 * time.Millisecond} {
		if got[i] != want {
			t.Errorf("datagram %d came at %v, want %v", i, got[i], want)
		}
	}
	got = burst(t, 1, virtual.LinkConfig{Steps: []virtual.Step{{For: time.Second, Down: true}}, Once: true}, 5, 100)
	if len(got) != 0 {
		t.Errorf("%d datagrams passed a link that is down", len(got))
	}
}

func TestLossIsDrawnByTheSeed(t *testing.T) {
	lost := func(seed uint64) (missing []int) {
		got := burst(t, seed, virtual.LinkConfig{Loss: 0.2}, 250, 100)
		for i := range 250 {
			if _, ok := got[byte(i)]; !ok {
				missing = append(missing, i)
			}
		}
		return missing
	}
	one, again, other := lost(1), lost(1), lost(2)
	if !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Errorf("seed 1 lost %v, then %v; seed 2 %v", one, again, other)
	}
	if math.Abs(float64(len(one))-50) > 20 {
		t.Errorf("%d of 250 lost at 20 %%", len(one))
	}
}

func TestJitterKeepsTheOrder(t *testing.T) {
	got := burst(t, 1, virtual.LinkConfig{Delay: time.Millisecond, Jitter: 10 * time.Millisecond}, 200, 100)
	spread := map[time.Duration]bool{}
	for i := 1; i < 200; i++ {
		if got[byte(i)] < got[byte(i-1)] {
			t.Fatalf("datagram %d overtook its predecessor", i)
		}
		spread[got[byte(i)]] = true
	}
	if len(spread) < 2 || got[199] > 11*time.Millisecond {
		t.Errorf("%d times of arrival, the last %v", len(spread), got[199])
	}
}

func TestAConnectionCarriesBytesOverALossyLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, 1, virtual.LinkConfig{Rate: 10e6, Delay: 10 * time.Millisecond, Loss: 0.05})
		defer n.Close()
		ln, err := b.Listen(t.Context(), "tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan []byte, 1)
		go func() {
			c, err := ln.Accept()
			if err != nil {
				read <- nil
				return
			}
			defer c.Close()
			all, _ := io.ReadAll(c)
			read <- all
		}()
		c, err := a.Dial(t.Context(), "tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 3<<20) // three windows
		for i := range want {
			want[i] = byte(i >> 12)
		}
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if got := <-read; !slices.Equal(got, want) {
			t.Errorf("%d bytes came, want %d in order", len(got), len(want))
		}
	})
}

func TestDialTellsWhyItFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, _ := pair(t, 1, virtual.LinkConfig{})
		defer n.Close()
		if _, err := a.Dial(t.Context(), "tcp", "10.0.0.2:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		if _, err := network.DialWithin(a, time.Second)(t.Context(), "tcp", "10.0.0.9:80"); err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("no such host: %v", err)
		}
	})
}

func TestCloseEndsWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, _ := pair(t, 1, virtual.LinkConfig{})
		pc, err := a.ListenPacket(t.Context(), "udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		ln, err := a.Listen(t.Context(), "tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 2)
		go func() { _, _, err := pc.ReadFrom(make([]byte, 10)); ended <- err }()
		go func() { _, err := ln.Accept(); ended <- err }()
		synctest.Wait()
		n.Close()
		for range 2 {
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}
