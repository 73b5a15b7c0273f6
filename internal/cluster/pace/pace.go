package pace

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/console"
)

// paceOver is how long back a rate looks.
const paceOver = 5 * time.Second

// Pace is the rate of something that counts up, over the last few seconds.
type Pace struct {
	began, mid   time.Time
	first, later float64
}

// Start says that it counts from at on; else it begins with the first call of Left.
func (p *Pace) Start(at int64) { p.began, p.first = time.Now(), float64(at) }

// Left is how fast it goes and how long the rest will take, in words; nothing before it
// is known.
func (p *Pace) Left(now time.Time, at, total float64) (rate float64, rest time.Duration, known bool) {
	if p.began.IsZero() {
		p.began, p.first = now, at
	}
	if p.mid.IsZero() || now.Sub(p.mid) > paceOver { // two windows, so that one is always half full
		if !p.mid.IsZero() {
			p.began, p.first = p.mid, p.later
		}
		p.mid, p.later = now, at
	}
	took := now.Sub(p.began).Seconds()
	if took < 0.5 || at <= p.first {
		return 0, 0, false
	}
	rate = (at - p.first) / took
	return rate, time.Duration(max(total-at, 0) / rate * float64(time.Second)), true
}

// Reader moves a task as bytes pass, and ends with the context.
type Reader struct {
	ctx         context.Context
	r           io.Reader
	task        *console.Task
	sent        atomic.Int64 // the transport reads in a goroutine of its own
	from, total int64
	pace        Pace // of the reading goroutine
}

// NewReader reads the rest of total bytes, from the one at from on.
func NewReader(ctx context.Context, r io.Reader, task *console.Task, from, total int64) *Reader {
	c := &Reader{ctx: ctx, r: r, task: task, from: from, total: total}
	c.sent.Store(from)
	return c
}

// Start has the pace count from now on, else from the first byte.
func (c *Reader) Start() { c.pace.Start(c.from) }

func (c *Reader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	at := c.sent.Add(int64(n))
	text := ""
	if rate, rest, ok := c.pace.Left(time.Now(), float64(at), float64(c.total)); ok {
		text = fmt.Sprintf("%s/s, %s left", console.Bytes(int64(rate)), console.Clock(rest.Seconds()))
	}
	c.task.Set(at, c.total, text)
	return n, err
}
