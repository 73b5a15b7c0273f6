package proof

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/link/tun"
	"github.com/vstack/vstack/internal/loopback"
)

// asLink has the test binary play the link's process.
const asLink = "VSTACK_TEST_LINK"

func TestMain(m *testing.M) {
	if os.Getenv(asLink) != "" {
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestDelaysAreNoLessThanArithmetic measures a little of what Run does, in the direction
// that a busy machine cannot spoil.
func TestDelaysAreNoLessThanArithmetic(t *testing.T) {
	t.Setenv(asLink, "1")
	for _, kind := range []string{"relay", "TUN"} {
		t.Run(kind, func(t *testing.T) {
			cfg := Config{Exe: os.Args[0], Server: netip.MustParseAddr(loopback.Subnet(t) + ".1"), TUN: kind == "TUN", Progress: func(string) {}}
			if err := errors.Join(netns.Available(), tun.Available()); cfg.TUN && err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			p, err := start(cfg.Exe, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.close(); err != nil {
					t.Error(err)
				}
			}()
			s := shape.Shape{Delay: 5 * time.Millisecond, Rate: 20e6, Queue: 50_000}
			for name, run := range map[string]func(*ends, shape.Shape) ([]Figure, error){"UDP": udpDelay, "TCP": tcpDelay} {
				got, err := cfg.measure(p, s, name == "TCP", run)
				if err != nil {
					t.Fatal(err)
				}
				if f := got[0]; !strings.HasPrefix(f.Name, name) || f.Got < f.Want || f.Got > 50*f.Want {
					t.Errorf("%+v", f)
				}
			}
			lossy := s
			lossy.Loss, lossy.Reorder = 0.1, 0.1
			got, err := cfg.measure(p, lossy, false, udpChance)
			if err != nil {
				t.Fatal(err)
			}
			// A packet may be lost by a full socket, too, but none comes that was lost.
			if lost, overtaken := got[0], got[1]; lost.Got < 80 || overtaken.Got < 60 || overtaken.Got > 140 {
				t.Errorf("%+v", got[:2])
			}
		})
	}
}
