package repeats

import (
	"fmt"
	"sync"
	"time"
)

const (
	// every is how often one line is let through.
	every = time.Minute
	// most bounds the lines that are remembered; beyond it all are forgotten, and come once more.
	most = 256
)

// Filter remembers lines. It may be used concurrently; the zero Filter is empty.
type Filter struct {
	mu   sync.Mutex // guards seen
	seen map[string]*line
}

type line struct {
	at   time.Time // when it was last let through
	left int       // how often it came since
}

// Pass reports whether a line is to be written, and how often it was left out since it last
// was. Lines are the same if they have one text and are about the same member: args are pairs
// of a name and a value, of which peer, server and id count.
func (f *Filter) Pass(msg string, args []any, now time.Time) (write bool, left int) {
	key := msg
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "peer", "server", "id", "server-id", "target":
			key += fmt.Sprintf(" %v", args[i+1])
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.seen[key]
	switch {
	case l == nil:
		if f.seen == nil || len(f.seen) >= most {
			f.seen = map[string]*line{}
		}
		f.seen[key] = &line{at: now}
		return true, 0
	case now.Sub(l.at) < every:
		l.left++
		return false, 0
	}
	left = l.left
	l.at, l.left = now, 0
	return true, left
}
