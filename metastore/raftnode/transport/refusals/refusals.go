package refusals

import (
	"log/slog"
	"sync"
	"time"
)

// Every is how often there is a line.
const Every = 10 * time.Second

// Log tells of the first refusal at once, and of those after it in sum.
type Log struct {
	log *slog.Logger

	mu    sync.Mutex
	last  time.Time
	count int // since then
}

// New tells log.
func New(log *slog.Logger) *Log { return &Log{log: log} }

// Warn counts a refusal.
func (r *Log) Warn(msg string, args ...any) {
	r.mu.Lock()
	more := r.count
	silent := time.Since(r.last) < Every
	if silent {
		r.count++
	} else {
		r.last, r.count = time.Now(), 0
	}
	r.mu.Unlock()
	if silent {
		return
	}
	if more > 0 {
		args = append(args, "others_since_the_last", more)
	}
	r.log.Warn(msg, args...)
}
