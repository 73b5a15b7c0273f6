package linkcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/console"
)

// Shell is what the command line around the command gives.
type Shell struct {
	// Printer makes the writer of results.
	Printer func() (*console.Printer, error)
	// Deadline bounds the command by what a person asked for, or by its own span.
	Deadline func(context.Context, time.Duration) (context.Context, context.CancelFunc)
}

// New makes the command.
func New(sh Shell) *cobra.Command {
	var words shape.Words
	var cfg link.Config
	var proto []string
	var span time.Duration
	cmd := &cobra.Command{
		Use: "link --listen IP:PORT --to HOST:PORT", Short: "Relay UDP and TCP over a worse link: delay, jitter, loss, rate, queue, traces", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Relays both protocols at one port, without privileges, until Ctrl-C or for a time; each way has the same shape. Then
it prints what passed and how late the relay itself was; above %v at the 95th percentile it refuses to (exit code 8).
Loss and reordering are of UDP alone: a relay of TCP has acknowledged the bytes that it would lose.

Profiles:
%s`, link.MaxLate, profileLines()),
		Example: `  vstack link --listen 127.0.0.1:9081 --to 127.0.0.1:8081 --rate 50Mbit --delay 10ms
  vstack link --listen 127.0.0.1:9081 --to 127.0.0.1:8081 --proto udp --profile loss
  vstack link --listen 127.0.0.1:9081 --to 127.0.0.1:8081 --trace traces/bus.json --scale 0.5 --queue 200ms`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := sh.Printer()
			if err != nil {
				return err
			}
			plan, err := words.Plan()
			if err != nil {
				return err
			}
			cfg.Up, cfg.Down = plan, plan
			for _, name := range proto {
				switch name {
				case "udp":
					cfg.UDP = true
				case "tcp":
					cfg.TCP = true
				default:
					return fmt.Errorf("%w: --proto %q: want udp, tcp or udp,tcp", console.ErrUsage, name)
				}
			}
			ctx, cancel := sh.Deadline(cmd.Context(), span)
			defer cancel()
			return relay(ctx, p, cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", "", "address and port to listen at (required)")
	f.StringVar(&cfg.To, "to", "", "address and port of the server (required)")
	f.StringSliceVar(&proto, "proto", []string{"udp", "tcp"}, "what is relayed")
	f.DurationVar(&words.Delay, "delay", 0, "of every packet, one way")
	f.DurationVar(&words.Jitter, "jitter", 0, "the delay wanders by as much, up and down")
	f.StringVar(&words.Loss, "loss", "", "share of packets that vanish, as 1% (UDP)")
	f.StringVar(&words.Reorder, "reorder", "", "share of packets that come 10 ms later than the others, as 1% (UDP)")
	f.StringVar(&words.Rate, "rate", "", "as 50Mbit; IP packets with their headers count")
	f.StringVar(&words.Queue, "queue", "", "what waits for the rate, as 250kB or 100ms (default: 100ms, at least 15kB)")
	f.StringVar(&words.Trace, "trace", "", "file of measured throughput: a JSON list of duration_ms, bandwidth_kbps, latency_ms")
	f.Float64Var(&words.Scale, "scale", 0, "of the trace's throughput (0: as it is)")
	f.DurationVar(&words.Start, "start", 0, "where in the trace to begin")
	f.StringVar(&words.Profile, "profile", "", "a link with a name, see above; other flags replace its values")
	f.Uint64Var(&cfg.Seed, "seed", 1, "of chance")
	f.DurationVar(&span, "for", 0, "end after this long (0: at Ctrl-C)")
	_ = cmd.MarkFlagRequired("listen") // both are there
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func profileLines() string {
	var lines []string
	for _, p := range shape.Profiles() {
		lines = append(lines, fmt.Sprintf("  %-14s %s", p.Name, p.Doc))
	}
	return strings.Join(lines, "\n")
}

// Report is what a relay did, as the command prints it.
type Report struct {
	Listen string      `json:"listen"`
	To     string      `json:"to"`
	Up     link.Counts `json:"up"` // from clients to the server
	Down   link.Counts `json:"down"`
	// Processor is the time of this process for each packet that passed, in seconds.
	Processor float64 `json:"processor"`
}

// relay runs a link until ctx ends, which is no error, and prints what it did.
func relay(ctx context.Context, p *console.Printer, cfg link.Config) (err error) {
	r, err := link.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	p.Say("%s → %s", r.Addr(), cfg.To)
	before := processor()
	<-ctx.Done()
	out := Report{Listen: r.Addr().String(), To: cfg.To}
	if out.Up, out.Down, err = r.Report(); err != nil {
		return err
	}
	if n := out.Up.Packets + out.Down.Packets; n > 0 {
		out.Processor = (processor() - before).Seconds() / float64(n)
	}
	return p.Print(out, func() console.Table {
		t := console.Table{
			Head:  []string{"way", "packets", "bytes", "lost", "dropped", "late p50", "late p95", "late max"},
			Right: []int{1, 2, 3, 4, 5, 6, 7},
			Foot:  fmt.Sprintf("%s of processor a packet", console.Seconds(out.Processor)),
		}
		for _, w := range []struct {
			name string
			link.Counts
		}{{"up", out.Up}, {"down", out.Down}} {
			t.Rows = append(t.Rows, []any{w.name, w.Packets, w.Bytes, w.Lost, w.Dropped,
				console.Seconds(w.LateP50), console.Seconds(w.LateP95), console.Seconds(w.LateMax)})
		}
		return t
	})
}

// processor is the processor time of this process.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // it cannot fail for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
