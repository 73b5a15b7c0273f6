package uploader

import (
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/order"
)

// inBody is a file that arrives in one request.
type inBody struct {
	order    order.Order
	length   int64 // of the request, -1 if it does not say
	began    time.Time
	received atomic.Int64
	got      atomic.Int64 // when the last bytes came, Unix milliseconds
}

// bodies are those that arrive now, by the names of their parts. The zero value is ready.
type bodies struct {
	mu sync.Mutex
	by map[string]*inBody
}

func (b *bodies) begin(part string, o order.Order, length int64) *inBody {
	o.Close()
	one := &inBody{order: o, length: length, began: time.Now()}
	one.grew(0)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.by == nil {
		b.by = map[string]*inBody{}
	}
	b.by[part] = one
	return one
}

func (b *bodies) end(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.by, part)
}

func (b *inBody) grew(size int64) {
	b.received.Store(size)
	b.got.Store(time.Now().UnixMilli())
}

// arriving lists the files that arrive in the form of jobs. A part's own name is a secret of
// its client's; what stands for it here tells one row from another and opens nothing.
func (s *Server) arriving() (out []wire.Job, err error) {
	add := func(part string, o order.Order, size, received int64, began, got time.Time) {
		j := wire.Job{}
		if early, ok := s.early.Job(part); ok {
			j, _ = early.Snapshot()
		}
		sum := vstack.ChunkIDOf([]byte(part))
		j.ID, j.Upload, j.Title, j.State = "arriving-"+hex.EncodeToString(sum[:6]), vstack.UploadID{}, o.Title, wire.JobReceiving
		j.Source, j.Received = vstack.Source{Name: o.Name, Size: max(size, 0)}, received
		j.Renditions, j.Class, j.KeepOriginal, j.Visibility = o.Renditions, o.Policy, o.KeepOriginal, o.Visibility
		j.Started, j.Updated = began.UTC(), got.UTC()
		out = append(out, j)
	}
	parts, err := s.tus.Waiting()
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		add(p.ID, p.Order, p.Size, p.Received, p.Began, p.Got)
	}
	s.bodies.mu.Lock()
	defer s.bodies.mu.Unlock()
	for part, b := range s.bodies.by {
		add(part, b.order, b.length, b.received.Load(), b.began, time.UnixMilli(b.got.Load()))
	}
	return out, nil
}
