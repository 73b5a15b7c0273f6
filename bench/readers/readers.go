package readers

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/internal/vstack"
)

// Load is who reads what.
type Load struct {
	Readers int
	HTTP3   bool // else TLS over TCP
	TLS     *tls.Config
	URL     func(i int) string
	Size    int // bytes of each answer
	For     time.Duration
	Pid     int // of the server's process
}

// Seen is what became of it.
type Seen struct {
	Rate     float64 // MB/s
	P50, P99 float64 // seconds of a whole answer
	Failed   int
	First    error   // of those that failed
	Peak     float64 // the server's memory, bytes
	CPU      float64 // the server's processor seconds a GB
}

// firstKey is the address of the first reader; the others follow.
var firstKey = netip.AddrFrom4([4]byte{127, 0, 100, 1})

// Run reads for a while.
func (l Load) Run(ctx context.Context) (Seen, error) {
	if err := players.ForgetPeak(l.Pid); err != nil {
		return Seen{}, err
	}
	used, err := cpu(l.Pid)
	if err != nil {
		return Seen{}, err
	}
	var mu sync.Mutex
	var times []float64
	var out Seen
	var wg sync.WaitGroup
	began := time.Now()
	until := began.Add(l.For)
	key := firstKey
	for i := range l.Readers {
		from := key
		if key = key.Next(); key.As4()[3] == 255 { // no broadcast
			key = key.Next().Next()
		}
		wg.Go(func() {
			rt, end := client(from, l.HTTP3, l.TLS)
			defer end()
			for n := i; time.Now().Before(until) && ctx.Err() == nil; n++ {
				start := time.Now()
				err := l.get(ctx, rt, l.URL(n))
				mu.Lock()
				if err == nil {
					times = append(times, time.Since(start).Seconds())
				} else if out.Failed++; out.First == nil {
					out.First = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	wall := time.Since(began).Seconds()
	after, err := cpu(l.Pid)
	if err == nil {
		out.Peak, err = players.PeakMemory(l.Pid)
	}
	if err != nil || ctx.Err() != nil {
		return Seen{}, fmt.Errorf("read as %d: %w", l.Readers, vstack.ErrUnavailable)
	}
	slices.Sort(times)
	if n := len(times); n > 0 {
		bytes := float64(n) * float64(l.Size)
		out.Rate, out.CPU = bytes/1e6/wall, (after-used)/(bytes/1e9)
		out.P50, out.P99 = times[n/2], times[min(n-1, n*99/100)]
	}
	return out, nil
}

func (l Load) get(ctx context.Context, rt http.RoundTripper, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %w: status %s", url, vstack.ErrUnavailable, resp.Status)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(l.Size) {
		return fmt.Errorf("GET %s: %w: %d of %d bytes: %v", url, vstack.ErrTruncated, n, l.Size, err)
	}
	return nil
}

// client is one reader's.
func client(from netip.Addr, h3 bool, conf *tls.Config) (http.RoundTripper, func()) {
	if !h3 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
		t := &http.Transport{TLSClientConfig: conf.Clone(), DialContext: d.DialContext, DisableCompression: true, ReadBufferSize: 64 << 10}
		return t, t.CloseIdleConnections
	}
	var socks []net.PacketConn
	t := &http3.Transport{TLSClientConfig: conf.Clone(), QUICConfig: &quic.Config{MaxStreamReceiveWindow: 2 << 20, MaxConnectionReceiveWindow: 4 << 20}}
	t.Dial = func(ctx context.Context, addr string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
		to, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return nil, err
		}
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.AsSlice()})
		if err != nil {
			return nil, err
		}
		socks = append(socks, udp) // one reader asks one after the other
		return quic.DialEarly(ctx, udp, to, conf, q)
	}
	return t, func() {
		_ = t.Close() // whatever there was to know, a request has told
		for _, s := range socks {
			_ = s.Close()
		}
	}
}
