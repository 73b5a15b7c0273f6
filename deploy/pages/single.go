package pages

import (
	"context"
	"fmt"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// single runs one piece of work at a time beside the pages, until it ends, is stopped or
// the console closes. Its mutex guards what the work tells of itself, too.
type single struct {
	what string
	ctx  context.Context // ends the one that runs
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	stop context.CancelFunc // nil while none runs
}

func newSingle(what string) *single {
	s := &single{what: what}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// begin runs work unless there is some. began is called before it, and what work returns
// after it, both under the mutex.
func (s *single) begin(began func(), work func(ctx context.Context) (ended func())) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil || s.ctx.Err() != nil {
		return fmt.Errorf("%s: %w: one runs", s.what, vstack.ErrAlreadyExists)
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.stop = stop
	began()
	s.wg.Go(func() {
		ended := work(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		ended()
		stop()
		s.stop = nil
	})
	return nil
}

// cancel has the work end as soon as it can; noted is called under the mutex where there is some.
func (s *single) cancel(noted func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		noted()
	}
}

// close ends what runs and waits for it.
func (s *single) close() {
	s.end()
	s.wg.Wait()
}
