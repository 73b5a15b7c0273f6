package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fmt.Errorf("flag: %w", ErrUsage), 2},
		{vstack.ErrInvalid, 2},
		{fmt.Errorf("video: %w", vstack.ErrNotFound), 3},
		{Hint(vstack.ErrForbidden, "x"), 4},
		{vstack.ErrUnauthenticated, 4},
		{vstack.ErrNoQuorum, 5},
		{vstack.ErrNoLeader, 5},
		{fmt.Errorf("verify: %w", ErrDegraded), 6},
		{ErrBound, 7},
		{vstack.ErrUnavailable, 8},
		{context.DeadlineExceeded, 8},
	} {
		if got := ExitCode(tc.err); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestPrintError(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"own hint":         {Hint(fmt.Errorf("find video: %w", vstack.ErrNotFound), "vstack video %s", "ls"), "vstack: find video: not found\n   try: vstack video ls\n"},
		"hint of its kind": {fmt.Errorf("write: %w", vstack.ErrNoLeader), "vstack: write: no leader\n   try: vstack raft status\n"},
		"without a hint":   {errors.New("odd"), "vstack: odd\n"},
		"interrupted":      {context.Canceled, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			PrintError(&out, tc.err)
			if out.String() != tc.want {
				t.Errorf("got %q, want %q", out.String(), tc.want)
			}
		})
	}
}

type item struct {
	ID    vstack.HostID `json:"id"`
	Bytes int64         `json:"bytes"`
	Note  string        `json:"note,omitempty"`
	At    time.Time     `json:"at,omitzero"`
}

// TestAnInterruptedCommandSaysWhatGoesOn, and nothing where nothing does.
func TestAnInterruptedCommandSaysWhatGoesOn(t *testing.T) {
	var out bytes.Buffer
	err := fmt.Errorf("follow: %w", context.Canceled)
	PrintError(&out, err)
	if out.Len() > 0 {
		t.Errorf("said %q", out.String())
	}
	PrintError(&out, fmt.Errorf("upload: %w", Left(err, "host h1 goes on", "vstack video jobs")))
	if want := "vstack: interrupted: host h1 goes on\n   to come back: vstack video jobs\n"; out.String() != want {
		t.Errorf("said %q, want %q", out.String(), want)
	}
	if other := errors.New("x"); !errors.Is(Left(other, "a", "b"), other) || Left(other, "a", "b").Error() != "x" || Left(nil, "a", "b") != nil {
		t.Error("it says something of other errors")
	}
}

func TestPrint(t *testing.T) {
	v := []item{{ID: "h1", Bytes: 5, Note: "yes"}, {ID: "h2", Bytes: 7}}
	render := func(f Format) string {
		var out bytes.Buffer
		p := Printer{Out: &out, Err: &out, Format: f}
		err := p.Print(v, func() Table {
			return Table{Head: []string{"host", "bytes"}, Rows: [][]any{{"h1", 5}, {"h2", 70}}, Right: []int{1}}
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got, want := render(FormatTable), "HOST  BYTES\nh1        5\nh2       70\n"; got != want {
		t.Errorf("table:\n%s\nwant:\n%s", got, want)
	}
	var back []item
	if err := json.Unmarshal([]byte(render(FormatJSON)), &back); err != nil || back[0] != v[0] {
		t.Errorf("JSON: %v, %v", back, err)
	}
	// "yes" is a word and not a truth: the quotes must come back.
	if got, want := render(FormatYAML), "- id: h1\n  bytes: 5\n  note: \"yes\"\n- id: h2\n  bytes: 7\n"; got != want {
		t.Errorf("YAML:\n%s\nwant:\n%s", got, want)
	}
}

func TestEmptyTableIsSaidToPeople(t *testing.T) {
	var out, people bytes.Buffer
	p := Printer{Out: &out, Err: &people, Format: FormatTable}
	if err := p.Print(nil, func() Table { return Table{Head: []string{"x"}, Empty: "no videos yet"} }); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 0 || people.String() != "no videos yet\n" {
		t.Errorf("out %q, err %q", out.String(), people.String())
	}
}

func TestProgress(t *testing.T) {
	t.Run("json: one object a line, the last one done and complete", func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(ProgressJSON, &out)
		task := p.Task("upload", UnitBytes, 0)
		task.Set(3, 10, "a")
		task.Set(4, 10, "b") // within the same half second: not reported
		task.End("fine")
		task.Set(5, 10, "too late")
		task.End("again")
		p.Close()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("got %q", lines)
		}
		var e event
		if err := json.Unmarshal([]byte(lines[1]), &e); err != nil || e != (event{"upload", "done", 10, 10, UnitBytes, "fine"}) {
			t.Errorf("got %+v, %v", e, err)
		}
	})
	t.Run("plain: a line at each end", func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(ProgressLines, &out)
		task := p.Task("upload", UnitBytes, 10)
		task.Set(5, 10, "half")
		task.Fail("disk full")
		p.Close()
		if got := out.String(); got != "upload …\nupload: disk full\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("bar: ends drawn in full, and an unfinished task does not block", func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(ProgressBars, &out)
		a, b := p.Task("upload", UnitBytes, 0), p.Task("store", UnitSeconds, 90_000)
		a.Set(512, 1024, "")
		a.Set(1024, 1024, "")
		a.End("sent")
		b.Set(30_000, 90_000, "12 chunks")
		p.Close()
		if got := out.String(); !strings.Contains(got, "1.0 KiB / 1.0 KiB") || !strings.Contains(got, "100 %") {
			t.Errorf("got %q", got)
		}
	})
}

func TestHumanForms(t *testing.T) {
	for got, want := range map[string]string{
		Bytes(0): "0 B", Bytes(1536): "1.5 KiB", Bytes(5 << 30): "5.0 GiB", Bytes(700 << 20): "700 MiB",
		Clock(0): "0:00", Clock(59.6): "1:00", Clock(3723): "1:02:03",
		Took(840 * time.Microsecond): "840 µs", Took(12345 * time.Microsecond): "12.3 ms", Took(4210 * time.Millisecond): "4.21 s",
		Bar(0.5, 4): "██  ", Bar(0.0001, 2): "▏ ", Bar(7, 2): "██", Bar(0, 1): " ",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := Ago(now.Add(-90*time.Second), now); got != "1m ago" {
		t.Errorf("got %q", got)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 hosts", 1: "1 host", 2: "2 hosts"} {
		if got := Count(n, "host"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}
