package host

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/wire"
)

// manager listens as a service manager does, and passes on what it is told.
func manager(t *testing.T) <-chan string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1024)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				close(told)
				return
			}
			told <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return told
}

func TestTheServiceManagerIsToldHowAHostFares(t *testing.T) {
	told := manager(t)
	t.Setenv("WATCHDOG_USEC", "300000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	cfg := everyRole(t)
	go func() { ended <- Run(ctx, cfg, wire.Version{}, slog.New(slog.DiscardHandler)) }()
	next := func(want string) {
		t.Helper()
		for {
			select {
			case state := <-told:
				if state == want {
					return
				}
			case <-time.After(time.Minute):
				t.Fatalf("never told %q", want)
			}
		}
	}
	next("READY=1")
	next("WATCHDOG=1")
	next("WATCHDOG=1") // again and again
	stop()
	next("STOPPING=1")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAPortThatHangsIsNoLife: the kernel accepts connections for a process that answers none.
func TestAPortThatHangsIsNoLife(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newProbes([]string{ln.Addr().String()}, 50*time.Millisecond)
	defer p.close()
	if err := p.probe(t.Context()); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("a port that never answers: %v, want an error that names it", err)
	}
}
