package contest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/bench/viewing"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/bench/virtual/site"
	"github.com/vstack/vstack/internal/vstack"
)

const singleTime = 20 * time.Second

// Single is what one connection to one store of a host whose link loses packets brings, one chunk
// after the other for as long as singleTime.
func Single(ctx context.Context, run Run) (o viewing.Outcome, err error) {
	n := run.Scenario.Draw(scenario.Rand(run.Seed), run.Traces)
	s, err := site.Open(site.Config{Dir: run.Dir, Seed: run.Seed, Hosts: hosts(n), Up: n.Up, Down: n.Down})
	if err != nil {
		return viewing.Outcome{}, err
	}
	defer s.Close()
	s.PutFilm(run.Film.Manifest, run.Film)
	at := s.Stores[0]
	for _, st := range s.Stores {
		if n.Hosts[st.Host].Up.Loss > 0 {
			at = st
			break
		}
	}
	began := time.Now()
	var bytes atomic.Int64
	ctx, stop := context.WithTimeout(ctx, singleTime)
	defer stop()
	if err := plain(ctx, s, run, at, &bytes); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return viewing.Outcome{}, err
	}
	return viewing.Outcome{Goodput: float64(bytes.Load()) * 8 / time.Since(began).Seconds()}, nil
}

// plain reads what a store holds of a film over one connection, one chunk after the other and
// again from the first, until ctx ends.
func plain(ctx context.Context, s *site.Site, run Run, at *site.Store, bytes *atomic.Int64) (err error) {
	addr, err := netip.ParseAddrPort(at.Addr)
	if err != nil {
		return err
	}
	pc, err := s.Viewer.ListenPacket(ctx, "udp", ":0")
	if err != nil {
		return err
	}
	tr := &quic.Transport{Conn: pc}
	defer func() { err = errors.Join(err, tr.Close(), pc.Close()) }()
	conf := s.TLS()
	conf.NextProtos, conf.ServerName = []string{http3.NextProtoH3}, addr.Addr().String()
	qc, err := tr.Dial(ctx, net.UDPAddrFromAddrPort(addr), conf, &quic.Config{
		InitialStreamReceiveWindow: 4 << 20, MaxStreamReceiveWindow: 16 << 20,
		InitialConnectionReceiveWindow: 16 << 20, MaxConnectionReceiveWindow: 32 << 20,
	})
	if err != nil {
		return err
	}
	defer func() { _ = qc.CloseWithError(0, "") }() // the measurement is over
	h3 := (&http3.Transport{DisableCompression: true}).NewClientConn(qc)
	for {
		for slot, ref := range run.Film.Manifest.Slots {
			if !slices.Contains(s.Holders(slot), at) {
				continue
			}
			if err := get(ctx, h3, at.Addr, ref.ID, bytes); err != nil {
				return cmp.Or(ctx.Err(), err)
			}
		}
	}
}

// get reads a chunk and counts its bytes as they come.
func get(ctx context.Context, h3 *http3.ClientConn, addr string, id vstack.ChunkID, bytes *atomic.Int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/v1/chunks/"+id.String(), nil)
	if err != nil {
		return err
	}
	resp, err := h3.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get chunk %s: %w: status %d", id.Short(), vstack.ErrInternal, resp.StatusCode)
	}
	part := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(part)
		bytes.Add(int64(n))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
