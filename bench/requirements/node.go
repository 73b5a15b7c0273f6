package requirements

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/scrape"
	"github.com/vstack/vstack/internal/vstack"
)

// place is a chunk at the store that leads its group.
type place struct {
	url  string
	size int64
}

// places are all chunks of the films but the small ones.
func (r *run) places(ctx context.Context) ([]place, error) {
	m, err := r.meta.Placement(ctx)
	if err != nil {
		return nil, err
	}
	var out []place
	for _, v := range r.videos {
		for slot, ref := range v.Slots {
			g, _ := m.Group(slot)
			lead, ok := m.Store(g.Targets[0])
			if !ok {
				return nil, fmt.Errorf("store %s: %w", g.Targets[0], vstack.ErrNotFound)
			}
			if ref.Size > 64<<10 {
				out = append(out, place{"https://" + lead.Addr + "/v1/chunks/" + ref.ID.String(), int64(ref.Size)})
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("chunks of %d films: %w", len(r.videos), vstack.ErrNotFound)
	}
	return out, nil
}

// get fetches a whole chunk and returns the time to its first byte.
func get(ctx context.Context, rt http.RoundTripper, p place) (first time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	first = time.Since(began)
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || n != p.size) {
		err = fmt.Errorf("GET %s: %w: %s, %d of %d bytes", p.url, vstack.ErrUnavailable, resp.Status, n, p.size)
	}
	return first, err
}

// firstByte is the stores' own histogram, from a read's arrival until its first byte can
// leave: queues, disk and checks included, network not.
const firstByte = "vstack_datanode_read_first_byte_seconds"

// concurrentRequests asks for chunks one by one, and then for as many at once.
func (r *run) concurrentRequests(ctx context.Context) error {
	all, err := r.places(ctx)
	if err != nil {
		return err
	}
	rt := &http3.Transport{TLSClientConfig: r.admin.ID.ClientTLS()}
	defer rt.Close()
	one := make([]time.Duration, requests)
	for i := range one {
		if one[i], err = get(ctx, rt, all[i%len(all)]); err != nil {
			return err
		}
	}
	before, err := r.firstBytes(ctx)
	if err != nil {
		return err
	}
	if _, err := burst(ctx, rt, all, asked); err != nil {
		return err
	}
	after, err := r.firstBytes(ctx)
	if err != nil {
		return err
	}
	took, err := burst(ctx, rt, all, requests)
	if err != nil {
		return err
	}
	during := after.Sub(before)
	slices.Sort(one)
	r.say(Requirement{"node latency", "ms", "< 10 ms", ms(one[len(one)/2]), "<=", 5, fmt.Sprintf("request to first byte of a chunk over HTTP/3, p50 of %d; p99 %.1f ms", requests, ms(one[len(one)*99/100]))})
	r.say(Requirement{"concurrent requests", "requests", "≥ 100", requests, ">=", requests, fmt.Sprintf("whole chunks over HTTP/3, begun at one moment, all answered within %.0f ms", ms(took))})
	r.say(Requirement{"node response", "ms", "< 10 ms", during.Quantile(0.5) * 1e3, "<=", 5, fmt.Sprintf("%d of them: arrival at the store until its first byte can leave, p50; p99 %.1f ms", asked, during.Quantile(0.99)*1e3)})
	return nil
}

// burst asks for n chunks at one moment and says when the last of them was there.
func burst(ctx context.Context, rt http.RoundTripper, all []place, n int) (time.Duration, error) {
	begin := make(chan struct{})
	g, gctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error {
			<-begin
			_, err := get(gctx, rt, all[i*7%len(all)])
			return err
		})
	}
	began := time.Now()
	close(begin)
	err := g.Wait()
	return time.Since(began), err
}

// firstBytes adds up what all stores observed.
func (r *run) firstBytes(ctx context.Context) (scrape.Buckets, error) {
	sum := scrape.Buckets{}
	for _, h := range r.lab.Hosts {
		f, err := scrape.From(ctx, r.admin.ID.ClientTLS(), h.Config.Data.Stores[0].Addr)
		if err != nil {
			return nil, err
		}
		for le, n := range f.Histogram(firstByte) {
			sum[le] += n
		}
	}
	return sum, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
