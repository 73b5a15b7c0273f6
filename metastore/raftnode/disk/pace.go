package disk

import (
	"sync"
	"time"
)

const (
	// SlowWrite is how long a write of the log takes that counts as slow. A write is two
	// syncs: some milliseconds on flash, some tens on a spinning disk.
	SlowWrite = 100 * time.Millisecond
	// Window is the time that a Pace is about.
	Window = 10 * time.Second

	paceSlice = time.Second
)

// Pace is how a member's log was written in the last Window.
type Pace struct {
	// Slow is the share of that time, 0 to 1, in which a slow write was under way.
	Slow float64
	// Stalls are the slow writes, and Writes all of them. A write that has not ended is
	// among them once it is slow.
	Stalls, Writes int
}

// pace keeps what a Pace is made of, second by second.
type pace struct {
	mu     sync.Mutex
	began  time.Time // of the write that is under way; zero without one
	slices [Window / paceSlice]paceOf
}

// paceOf is one second.
type paceOf struct {
	second         int64 // since the Unix epoch; what another second left is old
	slow           time.Duration
	stalls, writes int
}

func (p *pace) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began = now
}

// end notes that the write is over.
func (p *pace) end(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	second := now.Unix()
	s := &p.slices[second%int64(len(p.slices))]
	if s.second != second {
		*s = paceOf{second: second}
	}
	s.writes++
	if took := now.Sub(p.began); took >= SlowWrite {
		s.slow += took
		s.stalls++
	}
	p.began = time.Time{}
}

// read sums up what lies in the window that ends now.
func (p *pace) read(now time.Time) Pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out Pace
	var slow time.Duration
	for _, s := range p.slices {
		if age := now.Unix() - s.second; age >= 0 && age < int64(len(p.slices)) {
			slow, out.Stalls, out.Writes = slow+s.slow, out.Stalls+s.stalls, out.Writes+s.writes
		}
	}
	if took := now.Sub(p.began); !p.began.IsZero() && took >= SlowWrite {
		slow, out.Stalls, out.Writes = slow+took, out.Stalls+1, out.Writes+1
	}
	out.Slow = min(1, slow.Seconds()/Window.Seconds())
	return out
}
