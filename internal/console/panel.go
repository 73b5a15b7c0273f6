package console

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Panel is lines that change while work runs, below its tasks. On a terminal they are drawn, and go
// at the end; in ProgressJSON what they tell is a line of JSON; elsewhere there are none. It belongs
// to one goroutine.
type Panel struct {
	p     *Progress
	lines []*panelLine
	last  time.Time
}

type panelLine struct {
	bar  *mpb.Bar
	mu   sync.Mutex
	text string
}

// Panel adds one without lines.
func (p *Progress) Panel() *Panel { return &Panel{p: p} }

// Shown reports whether anybody sees the panel; when not, nobody needs to make its lines.
func (b *Panel) Shown() bool { return b.p.mode == ProgressBars || b.p.mode == ProgressJSON }

// Set shows lines, or what they tell.
func (b *Panel) Set(lines []string, told any) {
	switch b.p.mode {
	case ProgressBars:
		for len(b.lines) < len(lines) {
			l := &panelLine{}
			l.bar = b.p.bars.MustAdd(0, l, mpb.BarFillerTrim())
			b.lines = append(b.lines, l)
		}
		for i, l := range b.lines {
			text := ""
			if i < len(lines) {
				text = lines[i]
			}
			l.mu.Lock()
			l.text = text
			l.mu.Unlock()
		}
	case ProgressJSON:
		if time.Since(b.last) < jsonEvery {
			return
		}
		b.last = time.Now()
		if body, err := json.Marshal(told); err == nil {
			b.p.line("%s", body)
		}
	}
}

// Close takes the lines away.
func (b *Panel) Close() {
	for _, l := range b.lines {
		l.bar.Abort(true)
		l.bar.Wait()
	}
}

// Fill implements mpb.BarFiller.
func (l *panelLine) Fill(w io.Writer, stat decor.Statistics) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(w, "  "+Shorten(l.text, max(1, stat.AvailableWidth-2)))
	return err
}
