package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/bench/link/tun"
	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func needRoot(t *testing.T) {
	t.Helper()
	if err := Available(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
}

// opened is a Net of two hosts.
func opened(t *testing.T) *Net {
	t.Helper()
	return openedBy(t, Open)
}

// openedLinks is one with links.
func openedLinks(t *testing.T) *Net {
	t.Helper()
	return openedBy(t, func(ctx context.Context, hosts []netip.Addr) (*Net, error) { return OpenLinks(ctx, 1, hosts) })
}

func openedBy(t *testing.T, open func(context.Context, []netip.Addr) (*Net, error)) *Net {
	t.Helper()
	needRoot(t)
	first, err := FreeSubnet()
	if err != nil {
		t.Fatal(err)
	}
	n, err := open(t.Context(), []netip.Addr{first, first.Next()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// inside opens a socket in the namespace of a host; a socket stays where it was opened.
func inside(t *testing.T, n *Net, i int) (c *net.UDPConn) {
	t.Helper()
	err := tun.In(n.Path(i), func() (err error) {
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.hosts[i], 0)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// reaches sends until it is received, so many times.
func reaches(t *testing.T, from, to *net.UDPConn, word string, tries int) bool {
	t.Helper()
	buf := make([]byte, 64)
	for range tries {
		if _, err := from.WriteTo([]byte(word), to.LocalAddr()); err != nil && !errors.Is(err, unix.EPERM) {
			t.Fatal(err)
		}
		_ = to.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for {
			k, err := to.Read(buf)
			if err != nil {
				break
			}
			if bytes.Equal(buf[:k], []byte(word)) {
				return true
			}
		}
	}
	return false
}

func TestCutsDropWhatTheySay(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *Net{"over a bridge": opened, "over links": openedLinks} {
		t.Run(name, func(t *testing.T) { cutsDrop(t, open(t)) })
	}
}

func cutsDrop(t *testing.T, n *Net) {
	h1, h2 := inside(t, n, 0), inside(t, n, 1)
	self, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.Self(), 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	step := 0
	check := func(out, in, outSelf, inSelf bool) {
		t.Helper()
		step++
		for name, tc := range map[string]struct {
			from, to *net.UDPConn
			want     bool
		}{"h1 to h2": {h1, h2, out}, "h2 to h1": {h2, h1, in}, "h1 to us": {h1, self, outSelf}, "us to h1": {self, h1, inSelf}, "h2 to us": {h2, self, true}} {
			tries := 3
			if tc.want {
				tries = 100 // a loaded machine may be slow
			}
			if got := reaches(t, tc.from, tc.to, fmt.Sprint(step, name), tries); got != tc.want {
				t.Errorf("step %d: %s gets through: %v, want %v", step, name, got, tc.want)
			}
		}
	}
	ctx := t.Context()
	check(true, true, true, true)
	for _, cut := range []struct {
		sends, receives bool
		self            bool
	}{{true, true, false}, {true, false, false}, {false, true, false}, {true, true, true}, {false, true, true}} {
		from := []netip.Addr{n.hosts[1]}
		if cut.self {
			from = append(from, n.Self())
		}
		if err := n.Cut(ctx, 0, cut.sends, cut.receives, from...); err != nil {
			t.Fatal(err)
		}
		check(!cut.sends, !cut.receives, !cut.sends || !cut.self, !cut.receives || !cut.self)
		if err := n.Heal(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	check(true, true, true, true)
}

func TestCloseLeavesNothing(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *Net{"over a bridge": opened, "over links": openedLinks} {
		t.Run(name, func(t *testing.T) { leavesNothing(t, open(t)) })
	}
}

func leavesNothing(t *testing.T, n *Net) {
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := list()
	if err != nil || slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, n.prefix) }) {
		t.Errorf("left: %v, %v", names, err)
	}
	if i, err := net.InterfaceByName(n.iface); err == nil {
		t.Errorf("left: %+v", i)
	}
}

func TestOpenThatFailsLeavesNothing(t *testing.T) {
	n := opened(t) // has the names that the next one wants
	if _, err := Open(t.Context(), n.hosts); err == nil {
		t.Fatal("two nets of one process")
	}
	// It has removed what bears its name.
	if names, err := list(); err != nil || slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, n.prefix) }) {
		t.Errorf("left: %v, %v", names, err)
	}
}

func TestSweepRemovesWhatTheDeadHaveLeft(t *testing.T) {
	n := opened(t)
	// Process 1 runs, but did not begin then; the other never had such an id.
	for _, name := range []string{"vsdrill-1-99999999999-h1", "vsdrill-99999999-5-sw"} {
		if err := run(t.Context(), "", "ip", "netns", "add", name); err != nil {
			t.Fatal(err)
		}
	}
	other := "vsdrillx-1-1-h1"
	if err := run(t.Context(), "", "ip", "netns", "add", other); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = run(context.Background(), "", "ip", "netns", "del", other) }()
	if err := Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"vsdrill-1-99999999999-h1": false, "vsdrill-99999999-5-sw": false, other: true, n.name(0): true} {
		if _, err := os.Stat(dir + "/" + path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}

func TestOpenWantsHosts(t *testing.T) {
	needRoot(t)
	if _, err := Open(t.Context(), nil); !errors.Is(err, vstack.ErrInvalid) {
		t.Error(err)
	}
}
