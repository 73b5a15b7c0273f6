package viewers

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

// film is what a viewer asks for, in order.
type film struct {
	base     string // "https://HOST:PORT/play/VIDEO/"
	segments []string
}

// crowd is a number of viewers and what they have seen.
type crowd struct {
	tls *tls.Config
	// pace is how long a viewer waits between two segments; 0 is not at all.
	pace time.Duration

	mu   sync.Mutex
	sums map[string][32]byte // of a segment's bytes, by path; the first to see it says them

	bytes  atomic.Int64
	errors atomic.Int64
	first  error // guarded by mu
}

func newCrowd(conf *tls.Config) *crowd { return &crowd{tls: conf, sums: map[string][32]byte{}} }

// client is that of viewer i, at a loopback address of its own: budgets are by address.
func (c *crowd) client(i int) *http.Client {
	from := netip.AddrFrom4([4]byte{127, 9, byte(i >> 8), byte(i)})
	dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: c.tls.Clone(), MaxConnsPerHost: 1}}
}

// watch has n viewers see their films to the end, all at once, and returns the wall time.
func (c *crowd) watch(ctx context.Context, n int, filmOf func(i int) film) (time.Duration, error) {
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range n {
		g.Go(func() error {
			client := c.client(i + 1)
			defer client.CloseIdleConnections()
			f := filmOf(i)
			for _, path := range f.segments {
				if err := c.segment(ctx, client, f.base, path); err != nil {
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
					c.failed(fmt.Errorf("viewer %d: %w", i, err))
				}
				if c.pace > 0 && !sleep.For(ctx, c.pace) {
					return context.Cause(ctx)
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(began), err
}

func (c *crowd) failed(err error) {
	c.errors.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = err
	}
}

// segment reads one and compares it.
func (c *crowd) segment(ctx context.Context, client *http.Client, base, path string) error {
	sum := sha256.New()
	n, err := get(ctx, client, base+path, sum)
	c.bytes.Add(n)
	if err != nil {
		return err
	}
	got := [32]byte(sum.Sum(nil))
	key := path
	if u, err := url.Parse(base); err == nil { // nginx serves the same film at another address
		key = u.Path + path
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if want, seen := c.sums[key]; seen && want != got {
		return fmt.Errorf("%s: %w: other bytes than before", key, vstack.ErrHashMismatch)
	}
	c.sums[key] = got
	return nil
}

// get reads a body to its end.
func get(ctx context.Context, client *http.Client, url string, to io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(to, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	if err == nil && resp.ContentLength >= 0 && n != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// open reads a film's playlists: of the first rendition and its first sound.
func open(ctx context.Context, client *http.Client, base string) (film, error) {
	f := film{base: base}
	var master strings.Builder
	if _, err := get(ctx, client, base+"master.m3u8", &master); err != nil {
		return f, err
	}
	var lists []string
	for line := range strings.Lines(master.String()) {
		line = strings.TrimSpace(line)
		if _, rest, ok := strings.Cut(line, "TYPE=AUDIO,"); ok && len(lists) == 0 {
			_, uri, _ := strings.Cut(rest, `URI="`)
			lists = append(lists, strings.TrimSuffix(uri, `"`))
		}
		if line != "" && line[0] != '#' {
			lists = append(lists, line)
			break
		}
	}
	for _, list := range lists {
		var media strings.Builder
		if _, err := get(ctx, client, base+list, &media); err != nil {
			return f, err
		}
		dir := list[:strings.LastIndexByte(list, '/')+1]
		f.segments = append(f.segments, dir+"init.mp4")
		for line := range strings.Lines(media.String()) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				f.segments = append(f.segments, dir+line)
			}
		}
	}
	if len(f.segments) < 2 {
		return f, fmt.Errorf("%s: %w: no segments", base, vstack.ErrNotFound)
	}
	return f, nil
}

var errNoNginx = errors.New("nginx is not installed")
