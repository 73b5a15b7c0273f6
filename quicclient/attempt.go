package quicclient

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/policy"
	"github.com/vstack/vstack/quicclient/stores"
)

// attempt is one request for one piece at one store. The fields below the line are its
// goroutine's until it has ended.
type attempt struct {
	c       *Client
	peer    *stores.Peer
	job     *job
	piece   *piece
	urgency uint8
	started time.Duration
	cancel  context.CancelFunc
	hedge   bool

	progress atomic.Int64 // when its last byte came, on the client's clock
	got      atomic.Int64 // bytes
	answered atomic.Bool

	// ---
	buf   []byte
	sum   vstack.ChunkID // of buf, when the piece is the whole chunk
	proto string
	ttfb  time.Duration
	ended time.Duration
}

// view is the attempt as a policy sees it.
func (a *attempt) view() policy.Attempt {
	return policy.Attempt{
		Store: a.peer.ID, Started: a.started, Progress: time.Duration(a.progress.Load()),
		Bytes: a.got.Load(), Answered: a.answered.Load(),
	}
}

// run fetches and verifies the piece into a buffer of its own.
func (a *attempt) run(ctx context.Context) error {
	c, size := a.c, a.piece.rng.Length
	a.peer.Begin(size)
	a.buf = c.buffers.get(int(size))
	err := a.transfer(ctx)
	a.ended = c.pool.Now()
	a.peer.End(a.ended, size-a.got.Load(), a.answered.Load())
	if err != nil {
		c.buffers.put(a.buf)
		a.buf = nil
	}
	return err
}

func (a *attempt) transfer(ctx context.Context) error {
	c := a.c
	req, err := a.request(ctx)
	if err != nil {
		return err
	}
	c.metrics.messages.WithLabelValues(kindGet, sent).Inc()
	resp, proto, err := a.peer.RoundTrip(req, c.how())
	a.proto = proto
	if err != nil {
		return err
	}
	defer resp.Body.Close() // after an error this resets the stream, or ends the connection
	c.metrics.messages.WithLabelValues(kindGet, received).Inc()
	a.peer.Told(resp.Header.Get(wire.HeaderServerTiming))
	if err := a.check(resp); err != nil {
		return err
	}
	if err := a.read(resp.Body); err != nil {
		return err
	}
	a.peer.Told(resp.Trailer.Get(wire.HeaderServerTiming))
	return nil
}

func (a *attempt) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, chunkURL(a.peer.Addr, a.job.ref.ID), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	req.Header.Set("TE", "trailers") // the store's view of the path during this answer
	if !a.whole() {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", a.piece.rng.Offset, a.piece.rng.Offset+a.piece.rng.Length-1))
	}
	if a.urgency != policy.UrgencyDefault {
		req.Header.Set("Priority", "u="+strconv.Itoa(int(a.urgency)))
	}
	return req, nil
}

func chunkURL(addr string, id vstack.ChunkID) string {
	return "https://" + addr + "/v1/chunks/" + id.String()
}

func (a *attempt) whole() bool { return a.piece.rng == policy.Range{Length: int64(a.job.ref.Size)} }

// check refuses an answer that is not exactly the bytes asked for.
func (a *attempt) check(resp *http.Response) error {
	want := http.StatusOK
	if !a.whole() {
		want = http.StatusPartialContent
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return wire.ReadError(resp)
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%w: status %d, want %d", vstack.ErrInternal, resp.StatusCode, want)
	}
	if resp.ContentLength >= 0 && resp.ContentLength != a.piece.rng.Length {
		return fmt.Errorf("%w: %d bytes announced, want %d", vstack.ErrInternal, resp.ContentLength, a.piece.rng.Length)
	}
	if !a.whole() {
		r := a.piece.rng
		expect := fmt.Sprintf("bytes %d-%d/%d", r.Offset, r.Offset+r.Length-1, a.job.ref.Size)
		if got := resp.Header.Get("Content-Range"); got != expect {
			return fmt.Errorf("%w: Content-Range %q, want %q", vstack.ErrInternal, got, expect)
		}
	}
	return nil
}

// read fills buf, hashing as the bytes come so that the hash costs no time of its own.
func (a *attempt) read(body io.Reader) error {
	c := a.c
	var h hash.Hash
	if a.whole() {
		h = sha256.New()
	}
	n := 0
	for n < len(a.buf) {
		k, err := body.Read(a.buf[n:])
		if k > 0 {
			now := c.pool.Now()
			if n == 0 {
				a.ttfb = now - a.started
				a.peer.FirstByte(now, a.ttfb)
				a.answered.Store(true)
			}
			a.peer.Received(now, int64(k))
			a.progress.Store(int64(now))
			if h != nil {
				h.Write(a.buf[n : n+k])
			}
			n += k
			a.got.Store(int64(n))
		}
		if n < len(a.buf) && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("after %d of %d bytes: %w", n, len(a.buf), err)
		}
	}
	// Reading on to EOF frees the connection for the next request and brings the
	// trailer; more bytes than asked for mean a confused server.
	var one [1]byte
	if k, err := io.ReadFull(body, one[:]); k > 0 {
		return fmt.Errorf("%w: more than the %d bytes asked for", vstack.ErrInternal, len(a.buf))
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("after %d of %d bytes: %w", n, len(a.buf), err)
	}
	c.metrics.bytes.WithLabelValues(kindGet, received).Add(float64(n))
	if h == nil {
		return nil
	}
	if h.Sum(a.sum[:0]); a.sum != a.job.ref.ID {
		return fmt.Errorf("%w: got %s", vstack.ErrHashMismatch, a.sum.Short())
	}
	return nil
}
