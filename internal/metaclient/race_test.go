package metaclient

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// hang takes requests and answers none, as a process that was stopped.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the server sees the end of a connection only then
	<-r.Context().Done()
	// Returning would answer 200: a client that is slow to close after it has said
	// goodbye would still take it.
	panic(http.ErrAbortHandler)
}

// firstID is the request id of the first request.
func (m *member) firstID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.headers[0].Get(wire.HeaderRequestID)
}

// patient makes an attempt's own timeout too long to matter.
func patient(cfg *Config) { cfg.AttemptTimeout, cfg.HedgeAfter = time.Hour, 20*time.Millisecond }

func TestAMemberThatStandsStillIsPassedOver(t *testing.T) {
	asked := make(chan struct{})
	stopped := serve(t, func(w http.ResponseWriter, r *http.Request) { close(asked); hang(w, r) })
	live := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-asked // on a loaded machine the hedge may arrive first
		give(vstack.Video{Title: "x"})(w, r)
	})
	c := connect(t, patient, stopped, live)
	title := "x"
	if v, err := c.PatchVideo(t.Context(), vstack.VideoID{1}, wire.VideoPatch{Title: &title}); err != nil || v.Title != "x" {
		t.Fatalf("%+v, %v", v, err)
	}
	if id := stopped.firstID(); id == "" || id != live.firstID() {
		t.Error("the two attempts of one write have two request ids")
	}
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil || stopped.asked() != 1 {
		t.Errorf("the next call asked the stopped member again: %v", err)
	}
}

func TestTwoMembersThatStandStillArePassedOver(t *testing.T) {
	a, b, live := serve(t, hang), serve(t, hang), serve(t, give(vstack.Video{Title: "x"}))
	if v, err := connect(t, patient, a, b, live).Video(t.Context(), vstack.VideoID{1}); err != nil || v.Title != "x" {
		t.Fatalf("%+v, %v", v, err)
	}
}

func TestALateAnswerStillCounts(t *testing.T) {
	hedged := make(chan struct{})
	late := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-hedged
		give(vstack.Video{Title: "late"})(w, r)
	})
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-hedged:
		default:
			close(hedged)
		}
		wire.WriteError(w, vstack.ErrNoLeader)
	})
	if v, err := connect(t, patient, late, other).Video(t.Context(), vstack.VideoID{1}); err != nil || v.Title != "late" {
		t.Fatalf("%+v, %v", v, err)
	}
}

func TestMembersThatRefuseBesideOneThatHangsAreNotFlooded(t *testing.T) {
	t.Parallel()
	stopped, a, b := serve(t, hang), serve(t, fail(vstack.ErrNoLeader)), serve(t, fail(vstack.ErrNoLeader))
	c := connect(t, func(cfg *Config) { patient(cfg); cfg.Timeout = 2 * time.Second }, stopped, a, b)
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); !errors.Is(err, vstack.ErrNoLeader) {
		t.Errorf("%v", err)
	}
	// Pauses of 12 ms at the least, then 25, then 50.
	if n := a.asked() + b.asked(); n < 4 || n > 160 {
		t.Errorf("asked %d times in two seconds", n)
	}
	if stopped.asked() > 1 {
		t.Errorf("the one that hangs was asked %d times", stopped.asked())
	}
}

func TestRoundsStayCloseWhileAnElectionMayRun(t *testing.T) {
	t.Parallel()
	a := serve(t, fail(vstack.ErrNoLeader))
	c := connect(t, func(cfg *Config) { cfg.Timeout = 4 * time.Second }, a)
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); !errors.Is(err, vstack.ErrNoLeader) {
		t.Errorf("%v", err)
	}
	// Doubling without the bound would make nine rounds at the very most.
	if n := a.asked(); n < 11 {
		t.Errorf("%d rounds in four seconds", n)
	}
}

func TestWhatWouldCountTwiceIsNotHedged(t *testing.T) {
	slow := serve(t, nil)
	other := serve(t, give(nil))
	slow.become(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(200 * time.Millisecond) // ten times HedgeAfter
		defer timer.Stop()
		<-timer.C
		w.WriteHeader(http.StatusNoContent)
	})
	c := connect(t, patient, slow, other)
	if err := c.AddViews(t.Context(), vstack.VideoID{1}, 1); err != nil || other.asked() != 0 {
		t.Errorf("asked the other %d times, %v", other.asked(), err)
	}
	if _, err := c.Feed(t.Context(), 0); err != nil || other.asked() != 0 {
		t.Errorf("a long poll was hedged %d times, %v", other.asked(), err)
	}
}

// TestALostAnswerIsAskedOfTheSameMember counts views, which only the member that took
// them remembers.
func TestALostAnswerIsAskedOfTheSameMember(t *testing.T) {
	other := serve(t, give(nil))
	one := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler) // taken, and the answer lost
	})
	c := connect(t, nil, one, other)
	answered := make(chan error, 1)
	go func() { answered <- c.AddViews(t.Context(), vstack.VideoID{1}, 1) }()
	deadline := time.Now().Add(time.Minute)
	for one.asked() < 3 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	one.become(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	if err := <-answered; err != nil || one.asked() < 4 || other.asked() != 0 {
		t.Fatalf("asked %d and %d times, %v", one.asked(), other.asked(), err)
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	for _, h := range one.headers {
		if id := h.Get(wire.HeaderRequestID); id == "" || id != one.headers[0].Get(wire.HeaderRequestID) {
			t.Errorf("request ids %q and %q of one call", one.headers[0].Get(wire.HeaderRequestID), id)
		}
	}
}

func TestWhatWasRefusedOrNotSentIsAskedElsewhere(t *testing.T) {
	gone, refusing, live := serve(t, give(nil)), serve(t, fail(vstack.ErrUnavailable)), serve(t, give(nil))
	c := connect(t, nil, gone, refusing, live)
	gone.Close()
	if err := c.AddViews(t.Context(), vstack.VideoID{1}, 1); err != nil || refusing.asked() != 1 || live.asked() != 1 {
		t.Fatalf("asked %d and %d times, %v", refusing.asked(), live.asked(), err)
	}
}

func TestOneRoundAsksEachMemberOnce(t *testing.T) {
	t.Parallel()
	a, b, stopped := serve(t, fail(vstack.ErrNoLeader)), serve(t, fail(vstack.ErrNoLeader)), serve(t, hang)
	c := connect(t, func(cfg *Config) { cfg.AttemptTimeout, cfg.HedgeAfter = 2*time.Second, 20*time.Millisecond }, stopped, a, b)
	if _, err := c.Heartbeat(t.Context(), wire.Heartbeat{}); err == nil {
		t.Error("nobody answered, and that was no error")
	}
	if a.asked() != 1 || b.asked() != 1 || stopped.asked() != 1 {
		t.Errorf("asked %d, %d and %d times", a.asked(), b.asked(), stopped.asked())
	}
}
