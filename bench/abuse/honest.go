package abuse

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// readers of chunks, half of them over HTTP/3, and of the catalog. Each has an address.
	chunkReaders, catalogReaders = 8, 4
	// readBytes is a part of a chunk, as the client's default policy asks for.
	readBytes   = 256 << 10
	readEvery   = 200 * time.Millisecond
	readTimeout = 10 * time.Second
	// renewAfter is how many requests a connection carries: newcomers are honest, too.
	renewAfter = 4
	// probeEvery and probeTimeout are as a service manager asks /livez.
	probeEvery, probeTimeout = 500 * time.Millisecond, 2 * time.Second
)

// seen is what honest clients noticed in a time.
type seen struct {
	mu     sync.Mutex
	times  map[string][]time.Duration // of requests that were answered, by what was asked for
	failed []string                   // of those that were not, why
	dead   []string                   // of /livez
}

func (s *seen) took(what string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times[what] = append(s.times[what], d)
}

func (s *seen) add(to *[]string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, err.Error())
}

// quantile of the requests for something; 0 without any.
func (s *seen) quantile(what string, q float64) time.Duration {
	t := slices.Sorted(slices.Values(s.times[what]))
	if len(t) == 0 {
		return 0
	}
	return t[min(len(t)-1, int(q*float64(len(t))))]
}

// piece is a chunk that a store has, and its bytes.
type piece struct {
	url  string
	body []byte
}

// honest are the clients of one host.
type honest struct {
	tls     *tls.Config
	from    netip.Addr // of the first; the others have those after it
	pieces  []piece
	catalog []string // URLs
	livez   []string // URLs
}

// during has the clients read until ctx ends.
func (h *honest) during(ctx context.Context) *seen {
	s := &seen{times: map[string][]time.Duration{}}
	var wg sync.WaitGroup
	from := h.from
	for i := range chunkReaders {
		wg.Go(func() { h.reads(ctx, s, "chunks", from, i%2 == 0, h.chunk) })
		from = from.Next()
	}
	for range catalogReaders {
		wg.Go(func() { h.reads(ctx, s, "catalog", from, false, h.entry) })
		from = from.Next()
	}
	for _, url := range h.livez {
		wg.Go(func() { h.probes(ctx, s, url, from) })
	}
	wg.Wait()
	return s
}

// ask is one request and the look at its answer.
type ask func(ctx context.Context, rt http.RoundTripper) error

// reads is one client.
func (h *honest) reads(ctx context.Context, s *seen, what string, from netip.Addr, h3 bool, one ask) {
	sleep.For(ctx, rand.N(readEvery)) // or all ask in the same moment
	for ctx.Err() == nil {
		rt, end := h.client(from, h3)
		for range renewAfter {
			began := time.Now()
			turn, cancel := context.WithTimeout(ctx, readTimeout)
			err := one(turn, rt)
			cancel()
			switch {
			case ctx.Err() != nil:
			case err != nil:
				s.add(&s.failed, fmt.Errorf("%s, h3 %v, after %.1f s: %w", what, h3, time.Since(began).Seconds(), err))
			default:
				s.took(what, time.Since(began))
			}
			sleep.For(ctx, readEvery-time.Since(began))
		}
		end()
	}
}

func (h *honest) probes(ctx context.Context, s *seen, url string, from netip.Addr) {
	for ctx.Err() == nil {
		rt, end := h.client(from, false)
		turn, cancel := context.WithTimeout(ctx, probeTimeout)
		_, err := get(turn, rt, url, "", 1<<20)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.add(&s.dead, err)
		}
		end()
		sleep.For(ctx, probeEvery)
	}
}

// client is one with a key of its own, and no connection yet.
func (h *honest) client(from netip.Addr, h3 bool) (http.RoundTripper, func()) {
	if !h3 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
		t := &http.Transport{TLSClientConfig: h.tls.Clone(), ForceAttemptHTTP2: true, DialContext: d.DialContext}
		return t, t.CloseIdleConnections
	}
	t := &http3.Transport{TLSClientConfig: h.tls.Clone(), QUICConfig: &quic.Config{}}
	var sock net.PacketConn
	t.Dial = func(ctx context.Context, addr string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
		to, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return nil, err
		}
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.AsSlice()})
		if err != nil {
			return nil, err
		}
		if sock != nil {
			_ = sock.Close() // that of a connection that has ended
		}
		sock = udp
		return quic.DialEarly(ctx, udp, to, conf, q)
	}
	return t, func() {
		_ = t.Close() // whatever there was to know, a request has told
		if sock != nil {
			_ = sock.Close()
		}
	}
}

func (h *honest) chunk(ctx context.Context, rt http.RoundTripper) error {
	p := h.pieces[rand.N(len(h.pieces))]
	n := min(readBytes, len(p.body))
	off := rand.N(len(p.body) - n + 1)
	got, err := get(ctx, rt, p.url, fmt.Sprintf("bytes=%d-%d", off, off+n-1), readBytes+1)
	if err == nil && !bytes.Equal(got, p.body[off:off+n]) {
		return fmt.Errorf("%s: %w: %d bytes from %d on differ", p.url, vstack.ErrCorrupt, n, off)
	}
	return err
}

func (h *honest) entry(ctx context.Context, rt http.RoundTripper) error {
	_, err := get(ctx, rt, h.catalog[rand.N(len(h.catalog))], "", 32<<20)
	return err
}

// get reads an answer of at most so many bytes.
func get(ctx context.Context, rt http.RoundTripper, url, part string, most int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	want := http.StatusOK
	if part != "" {
		req.Header.Set("Range", part)
		want = http.StatusPartialContent
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	if resp.StatusCode != want {
		return nil, fmt.Errorf("GET %s: %w: status %s: %.120s", url, vstack.ErrUnavailable, resp.Status, body)
	}
	return body, nil
}
