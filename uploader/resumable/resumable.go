package resumable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	exp "golang.org/x/exp/slog"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/access"
	"github.com/vstack/vstack/uploader/order"
	"github.com/vstack/vstack/uploader/spool"
)

const (
	// sweepEvery is how often parts are looked at: those that nobody goes on with end, and
	// those that are whole and not accepted yet are tried.
	sweepEvery = time.Minute
	// lockWait is how long a request waits for the one before it on the same part.
	lockWait = 20 * time.Second
	// afterwards is how long a request's work may go on after its connection has ended.
	afterwards = time.Second
	// maxEnded bounds how many parts are remembered of which nothing is left.
	maxEnded = 256
)

// Paths are where the handler is served; each has its parts below it.
var Paths = []string{"/files", "/v1/files"}

// Config is what a Handler works with. Every field but Logger is required.
type Config struct {
	Spool   *spool.Spool
	MaxSize int64 // bytes of a file
	// MinRate and Window bound how slowly bytes may come, see package intake.
	MinRate int64
	Window  time.Duration
	// Keep is how long a part is kept after its last byte.
	Keep time.Duration
	// MaxParts bounds the parts that wait for more bytes.
	MaxParts int

	// Gate is asked once for each creation and each cancel.
	Gate *access.Gate
	// Admit takes a place for a body; release gives it back.
	Admit func(r *http.Request) (release func(), err error)
	// Judge looks at an order before its file.
	Judge func(ctx context.Context, o *order.Order) error
	// Accept makes a part that is whole an upload.
	Accept func(ctx context.Context, p *spool.Part, o order.Order) (wire.Accepted, error)
	// Arrives says that a part has grown, and Gone that its file will not be accepted.
	Arrives func(p *spool.Part, o order.Order)
	Gone    func(id string)
	// Find returns the job that a part became.
	Find func(part string) (wire.Job, bool)
	// Counted is told what became of each file.
	Counted func(peer string, acc wire.Accepted, err error)

	Logger *slog.Logger
}

// Handler serves Paths.
type Handler struct {
	cfg    Config
	store  *store
	locks  locker
	served map[string]http.Handler // tusd's, by path

	mu    sync.Mutex
	ended map[string]outcome // parts of which nothing is left
	order []string           // their names, oldest first
}

// outcome is what became of a part.
type outcome struct {
	acc  wire.Accepted
	size int64 // of the file
	err  error
}

// New makes a handler.
func New(cfg Config) (*Handler, error) {
	h := &Handler{cfg: cfg, locks: locker{memorylocker.New()}, served: map[string]http.Handler{}, ended: map[string]outcome{}}
	h.store = &store{h: h}
	composer := handler.NewStoreComposer()
	composer.UseCore(h.store)
	composer.UseTerminater(h.store)
	composer.UseLocker(h.locks)
	for _, path := range Paths {
		tus, err := handler.NewHandler(handler.Config{
			StoreComposer: composer, BasePath: path + "/", MaxSize: cfg.MaxSize,
			DisableDownload: true, DisableConcatenation: true,
			Cors:                      &handler.CorsConfig{Disable: true},
			PreFinishResponseCallback: h.finish,
			AcquireLockTimeout:        lockWait, NetworkTimeout: cfg.Window + cfg.Window/4,
			GracefulRequestCompletionTimeout: afterwards,
			Logger:                           exp.New(discard{}),
		})
		if err != nil {
			return nil, fmt.Errorf("resumable uploads: %w", err)
		}
		h.served[path] = http.StripPrefix(path, tus)
	}
	return h, nil
}

// Run looks after the parts until ctx ends.
func (h *Handler) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		h.sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep ends the parts that are too old and tries those that are whole.
func (h *Handler) sweep(ctx context.Context) {
	parts, err := h.cfg.Spool.Parts()
	if err != nil {
		h.cfg.Logger.Warn("look after parts", "err", err)
		return
	}
	for id, at := range parts {
		if ctx.Err() != nil {
			return
		}
		if time.Since(at) > h.cfg.Keep {
			err = h.expire(ctx, id)
		} else {
			_, err = h.settle(ctx, id)
		}
		if err != nil && !errors.Is(err, errMore) && !errors.Is(err, vstack.ErrNotFound) {
			h.cfg.Logger.Warn("look after a part", "part", id, "err", err)
		}
	}
}

// expire removes a part, unless somebody goes on with it just now.
func (h *Handler) expire(ctx context.Context, id string) error {
	unlock, err := h.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	parts, err := h.cfg.Spool.Parts()
	if err != nil {
		return err
	}
	if at, ok := parts[id]; !ok || time.Since(at) <= h.cfg.Keep {
		return nil
	}
	h.cfg.Logger.Info("a part is removed: nobody went on with it", "part", id)
	h.cfg.Gone(id)
	return h.cfg.Spool.RemovePart(id)
}

// lock waits for a part's lock and does not let it be taken away.
func (h *Handler) lock(ctx context.Context, id string) (unlock func(), err error) {
	l, err := h.locks.NewLock(id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if err := l.Lock(ctx, func() {}); err != nil {
		return nil, fmt.Errorf("part %s: %w: another request is at work on it", id, vstack.ErrUnavailable)
	}
	return func() { _ = l.Unlock() }, nil // it never fails
}

// errMore says that a part waits for more bytes.
var errMore = errors.New("more bytes are awaited")

// settle has a whole part accepted. One that waits for more bytes is errMore.
func (h *Handler) settle(ctx context.Context, id string) (wire.Accepted, error) {
	unlock, err := h.lock(ctx, id)
	if err != nil {
		return wire.Accepted{}, err
	}
	defer unlock()
	if out, ok := h.became(id); ok {
		return out.acc, out.err
	}
	u, err := h.store.open(id)
	if err != nil {
		return wire.Accepted{}, err
	}
	defer u.part.Close()
	if u.part.Size() != u.about.Size {
		return wire.Accepted{}, errMore
	}
	return h.acceptPart(ctx, u)
}

// acceptPart hands a whole part over. What cannot be accepted for ever is removed; what
// the cluster cannot take now stays.
func (h *Handler) acceptPart(ctx context.Context, u *upload) (wire.Accepted, error) {
	acc, err := h.cfg.Accept(ctx, u.part, u.about.Order)
	if err != nil && passes(err) {
		return acc, err
	}
	if err != nil || acc.Duplicate {
		h.end(u.part.ID, outcome{acc, u.about.Size, err})
		h.cfg.Gone(u.part.ID)
		if e := errors.Join(u.part.Close(), h.cfg.Spool.RemovePart(u.part.ID)); e != nil {
			h.cfg.Logger.Warn("remove a part", "part", u.part.ID, "err", e)
		}
	}
	return acc, err
}

// passes says that a later try may be accepted: nothing is wrong with the file.
func passes(err error) bool {
	for _, s := range []error{
		vstack.ErrUnavailable, vstack.ErrTimeout, vstack.ErrNoLeader, vstack.ErrOutcomeUnknown, vstack.ErrNotReady,
		vstack.ErrNoQuorum, vstack.ErrClosed, vstack.ErrTooManyUploads, vstack.ErrDiskFull, vstack.ErrInternal,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return vstack.SentinelOf(err) == vstack.ErrInternal
}

// end remembers a part of which nothing is left.
func (h *Handler) end(id string, out outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.ended[id]; !ok {
		h.order = append(h.order, id)
	}
	h.ended[id] = out
	for len(h.order) > maxEnded {
		delete(h.ended, h.order[0])
		h.order = h.order[1:]
	}
}

// became is what has become of a part that is one no more.
func (h *Handler) became(id string) (outcome, bool) {
	if j, ok := h.cfg.Find(id); ok {
		return outcome{acc: wire.Accepted{Video: j.Video, Upload: j.Upload, Job: "/v1/jobs/" + j.ID}, size: j.Source.Size}, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	out, ok := h.ended[id]
	return out, ok
}

// about is what is kept beside a part.
type about struct {
	Size    int64             `json:"size"`
	Created time.Time         `json:"created"`
	Meta    map[string]string `json:"meta"`
	Order   order.Order       `json:"order"`
}

func parseAbout(b []byte) (about, error) {
	var a about
	if err := json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("what was said of a part: %w: %w", vstack.ErrCorrupt, err)
	}
	return a, nil
}

// orderOf reads Upload-Metadata: the fields of the form, the file's name, and what tus
// clients say of a file by themselves, which is not used.
func orderOf(meta map[string]string) (order.Order, error) {
	o := order.New()
	for key, value := range meta {
		switch key {
		case "filename", "name", "relativePath":
			if key != "relativePath" || o.Name == "" {
				o.SetName(value)
			}
		case "filetype", "type", "contentType":
		default:
			if err := o.Set(key, value); err != nil {
				return o, err
			}
		}
	}
	o.Close()
	return o, nil
}

// part is the name in a request's path, "" for the collection.
func part(path string) string {
	for _, base := range Paths {
		if rest, ok := strings.CutPrefix(path, base); ok && (rest == "" || rest[0] == '/') {
			return strings.Trim(rest, "/")
		}
	}
	return ""
}
