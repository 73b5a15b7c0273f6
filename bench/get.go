package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// getsPerRound is how many chunks one round reads: 64 MiB.
const getsPerRound = 32

// getter is the load of both sides of a read comparison: the same client code,
// reading to the end and counting, so that only the servers differ.
type getter struct {
	rt    http.RoundTripper
	close func() error
}

func http3Getter(conf *tls.Config) *getter {
	t := &http3.Transport{
		TLSClientConfig: conf.Clone(),
		QUICConfig:      &quic.Config{MaxStreamReceiveWindow: 8 << 20, MaxConnectionReceiveWindow: 32 << 20},
	}
	return &getter{rt: t, close: t.Close}
}

func tcpGetter(conf *tls.Config) *getter {
	t := &http.Transport{TLSClientConfig: conf.Clone(), MaxIdleConnsPerHost: 16, ReadBufferSize: 64 << 10, DisableCompression: true}
	return &getter{rt: t, close: func() error { t.CloseIdleConnections(); return nil }}
}

// get reads one body to its end and checks its length.
func (g *getter) get(ctx context.Context, url string, size int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := g.rt.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %s", url, resp.Status)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	if n != int64(size) {
		return fmt.Errorf("GET %s: %w: %d bytes, want %d", url, vstack.ErrTruncated, n, size)
	}
	return nil
}

func runHTTP3Get(ctx context.Context, opt Options) ([]report.Row, error) {
	return compareGets(ctx, opt, "http3-get", "bare quic-go http3 server", http3Getter)
}

func runTCPGet(ctx context.Context, opt Options) ([]report.Row, error) {
	return compareGets(ctx, opt, "tcp-get", "bare net/http TLS server", tcpGetter)
}

func compareGets(ctx context.Context, opt Options, scenario, baseline string, client func(*tls.Config) *getter) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	bare, err := c.Site().StartBare(net.JoinHostPort(opt.FirstIP, "8099"), vstack.ChunkSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Close()) }()
	up, err := c.OpenUpload(ctx, scenario)
	if err != nil {
		return nil, err
	}
	chunks, err := up.Fill(ctx, 96, vstack.ChunkSize)
	if err != nil {
		return nil, err
	}
	chunks = onOneStore(chunks)
	var rows []report.Row
	for _, width := range []int{1, 4} {
		opt.Progress(fmt.Sprintf("  %d in flight", width))
		ours, base := client(c.ID.ClientTLS()), client(c.ID.ClientTLS())
		ps, err := rig.Pairs(ctx, opt.Rounds,
			func(ctx context.Context) (float64, error) {
				return readRound(ctx, ours, width, func(i int) string {
					ch := chunks[i%len(chunks)]
					return "https://" + ch.Addr + "/v1/chunks/" + ch.ID.String()
				})
			},
			func(ctx context.Context) (float64, error) {
				return readRound(ctx, base, width, func(int) string { return "https://" + bare.Addr + "/" })
			})
		if err := errors.Join(err, ours.close(), base.close()); err != nil {
			return nil, err
		}
		rows = append(rows, report.Row{
			Scenario: scenario, Name: fmt.Sprintf("%d in flight", width), Unit: "MB/s",
			Baseline: baseline, Pairs: ps, Bound: report.AtLeast(0.9),
		})
	}
	return rows, nil
}

// readRound reads getsPerRound chunks and returns MB/s.
func readRound(ctx context.Context, g *getter, width int, url func(i int) string) (float64, error) {
	wall, _, err := rig.InFlight(ctx, getsPerRound, width, func(ctx context.Context, i int) error {
		return g.get(ctx, url(i), vstack.ChunkSize)
	})
	return rig.Throughput(getsPerRound*vstack.ChunkSize, wall), err
}

// onOneStore keeps the chunks led by the store that leads most of them.
func onOneStore(all []rig.Stored) []rig.Stored {
	by := map[string][]rig.Stored{}
	var best []rig.Stored
	for _, ch := range all {
		by[ch.Addr] = append(by[ch.Addr], ch)
		if len(by[ch.Addr]) > len(best) {
			best = by[ch.Addr]
		}
	}
	return best
}
