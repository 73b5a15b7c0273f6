package load

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/vstack/vstack/bench/drill/linear"
	"github.com/vstack/vstack/internal/vstack"
)

// titles begins the titles of all videos that loads make.
const titles = "drill "

// titlePrefix begins the titles that the meta load writes; a number follows.
const titlePrefix = titles + "register "

func registerTitle(n uint64) string { return titlePrefix + strconv.FormatUint(n, 10) }

func parseTitle(title string) (uint64, error) {
	rest, ok := strings.CutPrefix(title, titlePrefix)
	n, err := strconv.ParseUint(rest, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("title %.40q: %w: not one that the drill wrote", title, vstack.ErrInvalid)
	}
	return n, nil
}

// register is a video whose title one writer counts up, and what clients know of it.
type register struct {
	video vstack.VideoID

	mu    sync.Mutex
	tried uint64 // highest number of a write that was begun
	acked uint64 // highest number of a write that was acknowledged
	seen  uint64 // highest number that a linearizable read has returned
	now   window // since the last cut
}

// record adds an operation to the history.
func (r *register) record(op linear.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.now.ops) == maxOps {
		r.now.overflow = true
		return
	}
	r.now.ops = append(r.now.ops, op)
}

// cut ends the window; the next begins with what the register holds now, and with the
// writes that may still happen.
func (r *register) cut(held uint64) window {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.now
	w.video = r.video
	r.now = window{first: held}
	for _, op := range w.ops {
		if op.Open {
			r.now.ops = append(r.now.ops, op)
		}
	}
	return w
}

// begin notes a write that is about to be sent.
func (r *register) begin(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried = n
}

// acknowledge notes that the write of n is answered.
func (r *register) acknowledge(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = n
}

// acknowledged is what a read that begins now must at least return for no
// acknowledged write to be lost.
func (r *register) acknowledged() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// floor is the least that a linearizable read which begins now may return.
func (r *register) floor() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.acked, r.seen)
}

// read judges a linearizable read that began when floor was what it was and has
// returned n.
func (r *register) read(floor, n uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n < floor {
		return fmt.Errorf("a linearizable read of %s returned %d although %d was acknowledged or read before it began", r.video, n, floor)
	}
	if n > r.tried {
		return fmt.Errorf("a linearizable read of %s returned %d although nothing above %d was written", r.video, n, r.tried)
	}
	r.seen = max(r.seen, n)
	return nil
}
