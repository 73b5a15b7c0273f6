package given

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/drill/storm"
	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/vstack"
)

// A whole given cluster is drilled in cmd/vstack; here are hosts that do not do what
// their commands should.

// answers makes a host whose endpoint gives some answers one after the other, the last
// again and again: the start of the run that answers, or 0 when nothing listens.
func answers(t *testing.T, commands string, starts ...float64) *host {
	t.Helper()
	f, err := hostcmd.Parse([]byte("commands: {" + commands + "}\nhosts: [{id: h1}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &host{cmd: f.Hosts[0], addr: "h1:8080", began: 1000, ask: func(ctx context.Context, _ string) (float64, error) {
		at := starts[0]
		if len(starts) > 1 {
			starts = starts[1:]
		}
		switch at {
		case refusing:
			return 0, fmt.Errorf("asked: %w", syscall.ECONNREFUSED)
		case silent:
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return at, nil
	}}
}

const (
	refusing = -1
	silent   = -2
)

const all = "kill: 'true', stop: 'true', start: 'true', pause: 'true', resume: 'true'"

func TestAHostIsKilledOnceItsRunHasEnded(t *testing.T) {
	for name, tc := range map[string]struct {
		starts []float64
		killed bool
	}{
		"it is gone":                             {[]float64{1000, 1000, refusing}, true},
		"its service manager has another":        {[]float64{1000, 2000}, true},
		"its machine is off":                     {[]float64{silent}, true},
		"it lives on":                            {[]float64{1000}, false},
		"it lives on, by a clock that moves":     {[]float64{1001, 1000}, false},
		"it was only slow, and refuses then":     {[]float64{silent, 1000, refusing}, true},
		"it was only slow, and answers for ever": {[]float64{silent, 1000}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := answers(t, all, tc.starts...)
			patience := 3 * time.Second // with one that lives on, which nothing ends but this
			if tc.killed {
				patience = time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := h.Kill(ctx); (err == nil) != tc.killed || err != nil && !strings.Contains(err.Error(), "still answers") {
				t.Error(err)
			}
		})
	}
}

func TestAHostThatAnswersIsNotPaused(t *testing.T) {
	if err := answers(t, all, 1000).Pause(t.Context()); !errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), "still answers") {
		t.Error(err)
	}
	if err := answers(t, all, 1000, 1000, silent).Pause(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnEndThatWasNotAskedForIsToldOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		commands string
		at       float64
		ended    bool
		down     bool
	}{
		"the same run":    {all, 1000, false, false},
		"another run":     {all, 2000, true, false},
		"nothing listens": {all, refusing, true, true},
		"nothing listens, and the drill may wait": {"pause: 'true'", refusing, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := answers(t, tc.commands, tc.at)
			if h.lost(t.Context()) != (tc.at == refusing) {
				t.Error("lost is not what Ended will say")
			}
			if exit, down := h.Ended(t.Context()); (exit != "") != tc.ended || down != tc.down {
				t.Errorf("%q, %v", exit, down)
			}
			if exit, down := h.Ended(t.Context()); exit != "" || down {
				t.Errorf("told again: %q, %v", exit, down)
			}
		})
	}
	h := answers(t, all, refusing, 2000)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if exit, down := h.Ended(t.Context()); exit != "" || down {
			t.Errorf("a host that was started: %q, %v", exit, down)
		}
	}
}

func TestAHostThatIsOwedItsStartIsSeenToRun(t *testing.T) {
	h := answers(t, all, refusing)
	if err := h.cmd.Do(t.Context(), hostcmd.Kill); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := h.mend(ctx); err == nil {
		t.Error("nothing answers, and it is said to run")
	}
	h = answers(t, all, refusing, refusing, 2000)
	if err := h.cmd.Do(t.Context(), hostcmd.Kill); err != nil {
		t.Fatal(err)
	}
	if err := h.mend(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEachKindOfCutHasItsCommand(t *testing.T) {
	t.Setenv("OUT", filepath.Join(t.TempDir(), "out"))
	h := answers(t, "cut: 'echo both $DRILL_PEERS >$OUT', cut_sends: 'echo sends $DRILL_PEERS >$OUT', cut_receives: 'echo receives $DRILL_PEERS >$OUT'", 1000)
	h.peers = []string{"10.0.0.2", "10.0.0.3"}
	for want, c := range map[string]storm.Cut{"both": {Sends: true, Receives: true}, "sends": {Sends: true}, "receives": {Receives: true}} {
		if err := h.Cut(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(os.Getenv("OUT")); err != nil || string(got) != want+" 10.0.0.2,10.0.0.3\n" {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
		if !h.cmd.Owes(hostcmd.Heal) {
			t.Errorf("%+v is not healed", c)
		}
	}
}
