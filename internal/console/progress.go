package console

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/vstack/vstack/internal/vstack"
)

// ProgressMode is how running work is shown.
type ProgressMode string

const (
	ProgressAuto  ProgressMode = "auto"  // bars on a terminal, else lines
	ProgressBars  ProgressMode = "bar"   // moving bars
	ProgressLines ProgressMode = "plain" // a line when a task starts, one when it ends, and what it waits for
	ProgressJSON  ProgressMode = "json"  // a JSON object a line, at most a few a second
	ProgressNone  ProgressMode = "none"
)

// barWidth is that of a moving bar, in cells. It leaves room for the words beside it on
// a terminal of 100 columns, so that bars of several tasks have one length.
const barWidth = 28

// jsonEvery bounds how often one task reports in ProgressJSON.
const jsonEvery = 500 * time.Millisecond

// ParseProgress checks --progress; auto becomes bar or plain.
func ParseProgress(s string, terminal bool) (ProgressMode, error) {
	switch m := ProgressMode(s); m {
	case ProgressAuto:
		if terminal {
			return ProgressBars, nil
		}
		return ProgressLines, nil
	case ProgressBars, ProgressLines, ProgressJSON, ProgressNone:
		return m, nil
	}
	return "", fmt.Errorf("--progress %q: %w: want auto, bar, plain, json or none", s, vstack.ErrInvalid)
}

// Progress shows tasks that run, on one writer. Close it before writing there oneself.
type Progress struct {
	mode ProgressMode
	out  io.Writer
	bars *mpb.Progress

	mu sync.Mutex // one line at a time
}

// NewProgress shows tasks on out, which is standard error.
func NewProgress(mode ProgressMode, out io.Writer) *Progress {
	p := &Progress{mode: mode, out: out}
	if mode == ProgressBars {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(100), mpb.WithRefreshRate(120*time.Millisecond), mpb.WithAutoRefresh())
	}
	return p
}

// Close waits until every task's last state is drawn. Tasks that did not end are
// dropped.
func (p *Progress) Close() {
	if p.bars != nil {
		p.bars.Shutdown()
	}
}

// Unit says what a task counts.
type Unit string

const (
	UnitBytes   Unit = "bytes"
	UnitCount   Unit = "count"
	UnitSeconds Unit = "seconds" // of media; counted in milliseconds
)

// Task is one piece of work with a known or unknown size. A Task's methods may be
// called from several goroutines.
type Task struct {
	p    *Progress
	name string
	unit Unit
	bar  *mpb.Bar

	mu          sync.Mutex
	done, total int64
	detail      string
	reported    time.Time
	ended       bool
}

// Task adds a task; total 0 is unknown yet.
func (p *Progress) Task(name string, unit Unit, total int64) *Task {
	t := &Task{p: p, name: name, unit: unit, total: total}
	switch p.mode {
	case ProgressBars:
		t.bar = p.bars.New(total, mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("─"), mpb.BarWidth(barWidth),
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("  %-12s ", name)), decor.Any(t.amount, decor.WC{W: 22})),
			mpb.AppendDecorators(decor.Any(t.percent, decor.WC{W: 6}), decor.Any(t.text)))
	case ProgressLines:
		p.line("%s …", name)
	}
	return t
}

// Set tells how far the task is, and a few words beside the bar.
func (t *Task) Set(done, total int64, detail string) {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return
	}
	t.done, t.total, t.detail = done, total, detail
	report := t.p.mode == ProgressJSON && time.Since(t.reported) >= jsonEvery
	if report {
		t.reported = time.Now()
	}
	t.mu.Unlock()
	if t.bar != nil {
		// A total that equals done would complete the bar before End says so.
		t.bar.SetTotal(max(total, done+1), false)
		t.bar.SetCurrent(done)
	}
	if report {
		t.json("running")
	}
}

// Note says something that people must see although the task goes on: a line where
// there are no bars.
func (t *Task) Note(text string) {
	if t.p.mode == ProgressLines {
		t.p.line("%s: %s", t.name, text)
	}
}

// End completes the task with its last words.
func (t *Task) End(detail string) { t.finish("done", detail) }

// Fail ends the task without success.
func (t *Task) Fail(detail string) { t.finish("failed", detail) }

func (t *Task) finish(state, detail string) {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return
	}
	t.ended, t.detail = true, detail
	if state == "done" && t.total > 0 {
		t.done = t.total
	}
	done := max(t.done, 1)
	t.mu.Unlock()
	switch t.p.mode {
	case ProgressBars:
		if state == "done" {
			t.bar.SetCurrent(done)
			t.bar.SetTotal(done, true)
		} else {
			t.bar.Abort(false)
		}
	case ProgressLines:
		t.p.line("%s: %s", t.name, detail)
	case ProgressJSON:
		t.json(state)
	}
}

// event is one line of --progress json.
type event struct {
	Task   string `json:"task"`
	State  string `json:"state"` // running, done or failed
	Done   int64  `json:"done"`
	Total  int64  `json:"total,omitempty"`
	Unit   Unit   `json:"unit"` // seconds are counted in milliseconds
	Detail string `json:"detail,omitempty"`
}

func (t *Task) json(state string) {
	t.mu.Lock()
	e := event{t.name, state, t.done, t.total, t.unit, t.detail}
	t.mu.Unlock()
	body, err := json.Marshal(e)
	if err != nil {
		return // strings and numbers always marshal
	}
	t.p.line("%s", body)
}

func (p *Progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (t *Task) amount(decor.Statistics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	show := func(n int64) string {
		switch t.unit {
		case UnitBytes:
			return Bytes(n)
		case UnitSeconds:
			return Clock(float64(n) / 1000)
		}
		return fmt.Sprint(n)
	}
	if t.total == 0 {
		return show(t.done)
	}
	return show(t.done) + " / " + show(t.total)
}

func (t *Task) percent(decor.Statistics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total == 0 {
		return ""
	}
	return fmt.Sprintf("%3d %%", 100*t.done/t.total)
}

func (t *Task) text(decor.Statistics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return "  " + t.detail
}
