package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/semaphore"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
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
	tables  *tables
	turns   turns
	metrics *readMetrics
	storeID []string
}

var (
	contentType  = []string{"application/octet-stream"}
	immutable    = []string{"public, max-age=31536000, immutable"}
	unshared     = []string{"private, no-store"} // what a token was shown for
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
		tables:  newTables(),
		metrics: m,
		storeID: []string{cfg.ID.String()},
	}, nil
}

// Served is the number of reads answered with bytes, and those bytes, since start.
func (r *Reader) Served() (reads, bytes int64) {
	return r.metrics.reads.Load(), r.metrics.bytes.Load()
}

// content is what an answer carries: a chunk or a fragment, or a part of it.
type content struct {
	id    vstack.ChunkID
	piece vstack.Piece // zero for the chunk
	tag   string       // its ETag, with quotes
	keep  []string     // Cache-Control
	size  int64        // bytes
	whole uint32       // bytes of the whole chunk
	from  source
	// held are the fragments here, from which and others a chunk is rebuilt.
	held []vstack.Piece
}

// source is where the bytes come from.
type source uint8

const (
	fromDisk     source = iota // the chunk is here
	fromFragment               // the fragment is here
	fromChunk                  // a fragment, made of the chunk, which is here
	fromPeers                  // the chunk, made of fragments here and elsewhere
)

// chunkName is the chunk that a route names.
func chunkName(req *http.Request) (vstack.ChunkID, error) {
	name := req.PathValue("sha256")
	id, err := vstack.ParseChunkID(name)
	if err == nil && id.String() != name { // one name a chunk, or caches keep two
		err = fmt.Errorf("chunk %q: %w: want lower-case hex digits", name, vstack.ErrInvalid)
	}
	return id, err
}

// ServeHTTP answers with a chunk or a part of it. The route has set {sha256}.
func (r *Reader) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	opened := time.Now()
	id, err := chunkName(req)
	if err != nil {
		r.fail(w, err)
		return
	}
	c := content{id: id, tag: `"` + id.String() + `"`, keep: immutable}
	var ok bool
	if c.whole, ok = r.cfg.Store.Size(id); !ok {
		held, size := r.fragments(id)
		if len(held) == 0 || joins(req) || r.cfg.Rebuild == nil {
			r.name(w, held)
			r.fail(w, r.absent(req.Context(), id))
			return
		}
		c.whole, c.from, c.held = size, fromPeers, held
	}
	c.size = int64(c.whole)
	r.answer(w, req, c, opened)
}

// answer sends the headers of a content, and what of it was asked for.
func (r *Reader) answer(w http.ResponseWriter, req *http.Request, c content, opened time.Time) {
	h := w.Header()
	h["Etag"] = []string{c.tag}
	if h["Cache-Control"] = c.keep; watch.Of(req) != "" {
		h["Cache-Control"] = unshared
	}
	h["Accept-Ranges"] = acceptRanges
	h[wire.HeaderStore] = r.storeID
	if inm := req.Header["If-None-Match"]; len(inm) > 0 && etagListed(inm[0], c.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	part, partial, err := requested(req, c.tag, c.size)
	if err != nil {
		h["Content-Range"] = []string{"bytes */" + strconv.FormatInt(c.size, 10)}
		r.fail(w, err)
		return
	}
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.FormatInt(part.n, 10)}
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h["Content-Range"] = []string{contentRange(part, c.size)}
	}
	if req.Method == http.MethodHead {
		t := startResponse(req.Context(), r.cfg.Gate.Busy(), took{})
		h[wire.HeaderServerTiming] = []string{t.header()}
		w.WriteHeader(status)
		return
	}
	r.send(w, req, c, part, status, opened)
}

// took is what an answer waited for.
type took struct {
	disk, decode time.Duration
}

// send reads and checks all of part, then lets it leave.
func (r *Reader) send(w http.ResponseWriter, req *http.Request, c content, part span, status int, opened time.Time) {
	behind := background(req)
	if !behind {
		r.turns.begin()
		defer r.turns.end()
	} else if r.turns.after(req.Context(), r.cfg.BackgroundWait) {
		r.metrics.behind.Inc()
	}
	// Whatever the bytes come from, they stay in memory until their reader has them.
	turn, cancel := context.WithTimeout(req.Context(), r.cfg.QueueTimeout)
	loan, err := r.cfg.Buffers.Borrow(turn, admission.KeyOf(req), int(part.n))
	cancel()
	if err != nil {
		r.unsetBody(w.Header())
		r.fail(w, err)
		return
	}
	defer loan.Release()
	queued := time.Since(opened)
	body, release, waited, err := r.body(req.Context(), c, part, status)
	if err != nil {
		r.unsetBody(w.Header())
		r.name(w, c.held)
		r.fail(w, err)
		return
	}
	defer release()
	h := w.Header()
	if wants, fresh := wantsLeaves(req); wants {
		// Without the table the bytes are as good as before: the reader goes by all of them.
		if table, err := r.leaves(req.Context(), c, fresh); err == nil && table != nil {
			h[wire.HeaderLeaves] = []string{table.String()}
		}
	}
	now := time.Now()
	firstByte := now.Sub(opened)
	r.metrics.firstByte.Observe(firstByte.Seconds())
	if c.from != fromPeers && !behind { // that is the time of others, and of nobody who waits for it
		r.cfg.Latency.Record(now, firstByte)
	}

	waited.disk += queued
	t := startResponse(req.Context(), r.cfg.Gate.Busy(), waited)
	h[wire.HeaderServerTiming] = []string{t.header()}
	w.WriteHeader(status)
	n, err := r.write(w, body, loan, now)
	r.metrics.sent(int64(n), err)
	if wantsTrailer(req) && err == nil {
		if trailer := t.trailer(r.cfg.Gate.Busy()); trailer != "" {
			h[trailerKey] = []string{trailer}
		}
	}
}

// step is how much of a body is handed to a connection at a time.
const step = 64 << 10

// write sends a body step by step. Its reader must keep up MinRate over the whole, and may
// stand still for a while as long as nobody waits for the memory.
func (r *Reader) write(w http.ResponseWriter, body []byte, loan *Loan, now time.Time) (n int, err error) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(now.Add(admission.Patience + time.Duration(int64(len(body))/r.cfg.MinRate)*time.Second))
	watch := loan.Watch(func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })
	defer watch.Stop()
	for n < len(body) && err == nil {
		var k int
		k, err = w.Write(body[n:min(n+step, len(body))])
		n += k
		watch.Moved()
	}
	return n, err
}

// body finds the checked bytes of part in memory, in a read under way, on disk, or at peers.
func (r *Reader) body(ctx context.Context, c content, part span, status int) (body []byte, release func(), waited took, err error) {
	switch c.from {
	case fromPeers:
		began := time.Now()
		whole, err := r.rebuild(ctx, c)
		if err != nil {
			return nil, nil, waited, err
		}
		return whole[part.off : part.off+part.n], func() {}, took{decode: time.Since(began)}, nil
	case fromChunk:
		body, waited.disk, err = r.encode(ctx, c, part)
		return body, func() {}, waited, err
	case fromFragment: // read below, as a part of a chunk is
	default:
		if whole := r.cfg.Cache.get(c.id); whole != nil {
			r.metrics.cached.Inc()
			return whole.buf.Bytes[part.off : part.off+part.n], whole.leave, waited, nil
		}
		if status == http.StatusOK {
			body, release, waited.disk, err = r.readShared(ctx, c.id, part)
			return body, release, waited, err
		}
	}
	buf, disk, err := r.read(ctx, c.id, c.piece, part)
	if err != nil {
		return nil, nil, waited, err
	}
	return buf.Bytes, buf.Release, took{disk: disk}, nil
}

// read waits for the disk, and returns checked bytes in memory that its readers have borrowed.
func (r *Reader) read(ctx context.Context, id vstack.ChunkID, piece vstack.Piece, part span) (buf *Buffer, waited time.Duration, err error) {
	start := time.Now()
	ctx, span := tracing.Start(ctx, "read superblock", attribute.Int64("bytes", part.n))
	defer func() { tracing.End(span, err) }()
	turn, cancel := context.WithTimeout(ctx, r.cfg.QueueTimeout)
	defer cancel()
	b := r.cfg.Buffers.memory(int(part.n))
	defer func() { // also when the read panics, which costs a request and must cost no more
		if buf == nil {
			b.Release()
		}
	}()
	if err := r.disk.Acquire(turn, 1); err != nil {
		return nil, 0, fmt.Errorf("wait for the disk: %w", vstack.ErrUnavailable)
	}
	waited = time.Since(start)
	span.AddEvent("turn at the disk")
	if err := r.readDisk(ctx, id, piece, b.Bytes, part.off); err != nil {
		if errors.Is(err, vstack.ErrCorrupt) {
			r.metrics.corrupt.Inc()
			r.cfg.CorruptPiece(id, piece)
		}
		return nil, 0, fmt.Errorf("read chunk %s: %w", id.Short(), err)
	}
	return b, waited, nil
}

// readDisk reads in a turn at the disk, and gives it back.
func (r *Reader) readDisk(ctx context.Context, id vstack.ChunkID, piece vstack.Piece, p []byte, off int64) (err error) {
	defer r.disk.Release(1)
	if s, ok := r.cfg.Store.(Fragments); ok && !piece.IsChunk() {
		_, err = s.ReadPieceAt(ctx, id, piece, p, off)
		return err
	}
	_, err = r.cfg.Store.ReadAt(ctx, id, p, off)
	return err
}

// absent tells a chunk that was never here from one that is known damaged.
func (r *Reader) absent(ctx context.Context, id vstack.ChunkID) error {
	var b [1]byte
	if _, err := r.cfg.Store.ReadAt(ctx, id, b[:], 0); errors.Is(err, vstack.ErrCorrupt) {
		r.cfg.CorruptPiece(id, vstack.Piece{})
		return fmt.Errorf("read chunk %s: %w", id.Short(), err)
	}
	return fmt.Errorf("chunk %s: %w", id, vstack.ErrNotFound)
}

// Refuse answers a read that is not to be made, as fail does one that failed.
func (r *Reader) Refuse(w http.ResponseWriter, err error) { r.fail(w, err) }

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
