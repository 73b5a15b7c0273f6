package viewer

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/bench/link/shape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every datagram.
func echo(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c.LocalAddr().String()
}

func open(t *testing.T, cfg Config) (*Network, net.PacketConn) {
	t.Helper()
	n, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := n.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return n, c
}

func trip(t *testing.T, c net.PacketConn, to string, size int) time.Duration {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.WriteTo(make([]byte, size), a); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(began.Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := c.ReadFrom(make([]byte, 2048))
	if err != nil || n != size || from.String() != to {
		t.Fatalf("%d bytes from %v: %v", n, from, err)
	}
	return time.Since(began)
}

func delay(d time.Duration) shape.Plan { return shape.Always(shape.Shape{Delay: d}) }

func TestDatagramsTakeTheTimeOfAllTheLinksOnTheirWay(t *testing.T) {
	near, far, other := echo(t), echo(t), echo(t)
	_, c := open(t, Config{
		Hosts: []Host{{Addrs: []string{near}, Up: delay(0), Down: delay(0)}, {Addrs: []string{far}, Up: delay(20 * time.Millisecond), Down: delay(30 * time.Millisecond)}},
		Up:    delay(5 * time.Millisecond), Down: delay(10 * time.Millisecond),
	})
	for _, one := range []struct {
		to    string
		least time.Duration
	}{{near, 15 * time.Millisecond}, {far, 65 * time.Millisecond}, {other, 0}} {
		best := time.Hour
		for range 5 {
			best = min(best, trip(t, c, one.to, 1000))
		}
		if best < one.least || best > one.least+50*time.Millisecond {
			t.Errorf("a round trip of %v, the links alone take %v", best, one.least)
		}
	}
}

// Two stores of one host share its rate: 40 datagrams of 1,028 bytes at 1 Mbit/s take a third of a
// second, however they are spread.
func TestStoresOfAHostShareItsLink(t *testing.T) {
	a, b := echo(t), echo(t)
	_, c := open(t, Config{
		Hosts: []Host{{Addrs: []string{a, b}, Up: shape.Always(shape.Shape{Rate: 1e6, Queue: 100_000}), Down: delay(0)}}, Up: delay(0), Down: delay(0),
	})
	began := time.Now()
	for i := range 40 {
		to, err := net.ResolveUDPAddr("udp", []string{a, b}[i%2])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WriteTo(make([]byte, 1000), to); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.SetReadDeadline(began.Add(10 * time.Second))
	for range 40 {
		if _, _, err := c.ReadFrom(make([]byte, 2048)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 320*time.Millisecond || took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAHostThatIsCutOffAndConnections(t *testing.T) {
	gone := echo(t)
	n, c := open(t, Config{Hosts: []Host{{Addrs: []string{gone}, Up: shape.Always(shape.Shape{Down: true}), Down: delay(0)}}, Up: delay(0), Down: delay(0)})
	to, err := net.ResolveUDPAddr("udp", gone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteTo([]byte("word"), to); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, _, err := c.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("of a host that is cut off: %v", err)
	}
	if _, err := n.Dial(t.Context(), "tcp", gone); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a connection: %v", err)
	}
	read := make(chan error)
	_ = c.SetReadDeadline(time.Time{})
	go func() {
		_, _, err := c.ReadFrom(make([]byte, 10))
		read <- err
	}()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a reader of a closed socket: %v", err)
	}
}
