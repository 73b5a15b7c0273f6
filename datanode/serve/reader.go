package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Chunks is the store that a Reader reads.
type Chunks interface {
	// Size is the chunk's size in bytes, and whether it is here and not known damaged.
	Size(id vstack.ChunkID) (uint32, bool)
	// ReadAt fills p from off, having checked every block it touches: ErrNotFound,
	// ErrCorrupt.
	ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error)
}

// Reader answers GET and HEAD /v1/chunks/{sha256}.
type Reader struct {
	cfg     ReaderConfig
	disk    *semaphore.Weighted
	flights *flights
	metrics *readMetrics
	storeID []string
}

var (
	contentType  = []string{"application/octet-stream"}
	immutable    = []string{"public, max-age=31536000, immutable"}
	acceptRanges = []string{"bytes"}
)

// NewReader makes a Reader.
func NewReader(cfg ReaderConfig) (*Reader, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newReadMetrics(cfg.Registry, cfg.ID, cfg.Gate)
	if err != nil {
		return nil, err
	}
	return &Reader{
		cfg:     cfg,
		disk:    semaphore.NewWeighted(int64(cfg.DiskReads)),
		flights: newFlights(),
		metrics: m,
		storeID: []string{cfg.ID.String()},
	}, nil
}

// Served is the number of reads answered with bytes, and those bytes, since start.
func (r *Reader) Served() (reads, bytes int64) {
	return r.metrics.reads.Load(), r.metrics.bytes.Load()
}

// ServeHTTP answers with a chunk or a part of it. The route has set {sha256}.
func (r *Reader) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	opened := time.Now()
	name := req.PathValue("sha256")
	id, err := vstack.ParseChunkID(name)
	if err == nil && id.String() != name { // one name a chunk, or caches keep two
		err = fmt.Errorf("chunk %q: %w: want lower-case hex digits", name, vstack.ErrInvalid)
	}
	if err != nil {
		r.fail(w, err)
		return
	}
	size, ok := r.cfg.Store.Size(id)
	if !ok {
		r.fail(w, r.absent(req.Context(), id))
		return
	}
	h := w.Header()
	etag := `"` + name + `"`
	h["Etag"] = []string{etag}
	h["Cache-Control"] = immutable
	h["Accept-Ranges"] = acceptRanges
	h[wire.HeaderStore] = r.storeID
	if inm := req.Header["If-None-Match"]; len(inm) > 0 && etagListed(inm[0], etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	part, partial, err := requested(req, etag, int64(size))
	if err != nil {
		h["Content-Range"] = []string{"bytes */" + strconv.FormatInt(int64(size), 10)}
		r.fail(w, err)
		return
	}
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.FormatInt(part.n, 10)}
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h["Content-Range"] = []string{contentRange(part, int64(size))}
	}
	if req.Method == http.MethodHead {
		t := startResponse(req.Context(), r.cfg.Gate.Busy(), 0)
		h[wire.HeaderServerTiming] = []string{t.header()}
		w.WriteHeader(status)
		return
	}
	r.send(w, req, id, part, status, opened)
}

// send reads and checks all of part, then lets it leave in one write.
func (r *Reader) send(w http.ResponseWriter, req *http.Request, id vstack.ChunkID, part span, status int, opened time.Time) {
	body, release, waited, err := r.body(req.Context(), id, part, status)
	if err != nil {
		r.unsetBody(w.Header())
		r.fail(w, err)
		return
	}
	defer release()
	now := time.Now()
	firstByte := now.Sub(opened)
	r.metrics.firstByte.Observe(firstByte.Seconds())
	r.cfg.Latency.Record(now, firstByte)

	h := w.Header()
	t := startResponse(req.Context(), r.cfg.Gate.Busy(), waited)
	h[wire.HeaderServerTiming] = []string{t.header()}
	// A reader slower than MinRate would hold the buffer from others.
	_ = http.NewResponseController(w).SetWriteDeadline(now.Add(10*time.Second + time.Duration(part.n/r.cfg.MinRate)*time.Second))
	w.WriteHeader(status)
	n, err := w.Write(body)
	r.metrics.sent(int64(n), err)
	if wantsTrailer(req) && err == nil {
		if trailer := t.trailer(r.cfg.Gate.Busy()); trailer != "" {
			h[trailerKey] = []string{trailer}
		}
	}
	if status == http.StatusOK && err == nil && r.cfg.Cache.get(id) == nil {
		r.cfg.Cache.offer(id, body) // after the reader has it all: the copy delays nobody
	}
}

// body finds the checked bytes of part in memory, in a read under way, or on disk.
func (r *Reader) body(ctx context.Context, id vstack.ChunkID, part span, status int) (body []byte, release func(), waited time.Duration, err error) {
	if whole := r.cfg.Cache.get(id); whole != nil {
		r.metrics.cached.Inc()
		return whole[part.off : part.off+part.n], func() {}, 0, nil
	}
	if status == http.StatusOK {
		return r.readShared(ctx, id, part)
	}
	buf, waited, err := r.read(ctx, id, part)
	if err != nil {
		return nil, nil, 0, err
	}
	return buf.Bytes, buf.Release, waited, nil
}

// read waits for memory and for the disk, each in turn, and returns checked bytes.
func (r *Reader) read(ctx context.Context, id vstack.ChunkID, part span) (buf *Buffer, waited time.Duration, err error) {
	start := time.Now()
	turn, cancel := context.WithTimeout(ctx, r.cfg.QueueTimeout)
	defer cancel()
	if buf, err = r.cfg.Buffers.Get(turn, int(part.n)); err != nil {
		return nil, 0, err
	}
	if err := r.disk.Acquire(turn, 1); err != nil {
		buf.Release()
		return nil, 0, fmt.Errorf("wait for the disk: %w", vstack.ErrUnavailable)
	}
	waited = time.Since(start)
	_, err = r.cfg.Store.ReadAt(ctx, id, buf.Bytes, part.off)
	r.disk.Release(1)
	if err != nil {
		buf.Release()
		if errors.Is(err, vstack.ErrCorrupt) {
			r.metrics.corrupt.Inc()
			r.cfg.Corrupt(id)
		}
		return nil, 0, fmt.Errorf("read chunk %s: %w", id.Short(), err)
	}
	return buf, waited, nil
}

// absent tells a chunk that was never here from one that is known damaged.
func (r *Reader) absent(ctx context.Context, id vstack.ChunkID) error {
	var b [1]byte
	if _, err := r.cfg.Store.ReadAt(ctx, id, b[:], 0); errors.Is(err, vstack.ErrCorrupt) {
		r.cfg.Corrupt(id)
		return fmt.Errorf("read chunk %s: %w", id.Short(), err)
	}
	return fmt.Errorf("chunk %s: %w", id, vstack.ErrNotFound)
}

// fail answers with an error. Where on disk damage lies is for the log, not for readers.
func (r *Reader) fail(w http.ResponseWriter, err error) {
	r.metrics.failed(err)
	if errors.Is(err, vstack.ErrCorrupt) {
		err = fmt.Errorf("this copy of the chunk: %w", vstack.ErrCorrupt)
	}
	wire.WriteError(w, err)
}

// unsetBody takes back what described the body that does not come.
func (r *Reader) unsetBody(h http.Header) {
	for _, k := range []string{"Etag", "Content-Length", "Content-Range", "Content-Type", "Accept-Ranges"} {
		delete(h, k)
	}
}

// requested is the part that a request asks for. Range counts only with GET, and
// with If-Range only while that names this very content.
func requested(req *http.Request, etag string, size int64) (span, bool, error) {
	ranges := req.Header["Range"]
	if len(ranges) != 1 || req.Method != http.MethodGet {
		return span{0, size}, false, nil
	}
	if ir := req.Header["If-Range"]; len(ir) > 0 && ir[0] != etag {
		return span{0, size}, false, nil
	}
	return parseRange(ranges[0], size)
}

func contentRange(part span, size int64) string {
	b := make([]byte, 0, 48)
	b = strconv.AppendInt(append(b, "bytes "...), part.off, 10)
	b = strconv.AppendInt(append(b, '-'), part.off+part.n-1, 10)
	b = strconv.AppendInt(append(b, '/'), size, 10)
	return string(b)
}
