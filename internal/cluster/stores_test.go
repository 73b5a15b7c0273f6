package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// moving is a metastore that moves some groups from store 1 to store 4, one a question,
// and keeps the rest.
type moving struct {
	mu      sync.Mutex
	ordered bool
	movable int
	waits   []string // then nothing moves
	m       vstack.PlacementMap
}

func newMoving(movable int) *moving {
	s := &moving{movable: movable}
	for range vstack.PlacementGroups {
		s.m.Groups = append(s.m.Groups, vstack.PGTargets{Epoch: 1, Targets: []vstack.StoreID{{1}, {2}, {3}}})
	}
	return s
}

func (s *moving) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out any = &s.m
	if strings.HasSuffix(r.URL.Path, "/replace") {
		s.ordered = true
		out = wire.ReplaceStoreReply{Groups: s.movable, Index: 9}
	} else if strings.HasSuffix(r.URL.Path, "/orders") {
		out = wire.List[wire.StandingOrder]{Items: []wire.StandingOrder{{Store: vstack.StoreID{1}, Waits: s.waits}}}
	} else if s.ordered && s.waits == nil {
		s.step()
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

// step activates what is prepared and prepares the next group.
func (s *moving) step() {
	s.m.Version++
	for pg := range s.movable {
		g := &s.m.Groups[pg]
		switch {
		case g.Next != nil:
			*g = vstack.PGTargets{Epoch: 2, Attempt: 1, Targets: g.Next.Targets}
		case g.Epoch == 1:
			g.Next = &vstack.NextEpoch{Epoch: 2, Attempt: 1, Targets: []vstack.StoreID{{4}, {2}, {3}}, Driver: vstack.StoreID{2}}
			return
		}
	}
}

// TestAReplacementThatWaitsSaysForWhat, and does not hang in silence.
func TestAReplacementThatWaitsSaysForWhat(t *testing.T) {
	m := newMoving(2)
	m.waits = []string{"2 groups: no majority of their voters is up"}
	var screen bytes.Buffer
	prog := console.NewProgress(console.ProgressLines, &screen)
	ctx, cancel := context.WithTimeout(t.Context(), 3*replacePoll)
	defer cancel()
	_, err := asking(t, m).Replace(ctx, prog, vstack.StoreID{1}, vstack.StoreID{}, true)
	prog.Close()
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "0 of 2 groups have moved; it waits: 2 groups: no majority") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(screen.String(), "no majority of their voters is up") {
		t.Errorf("a person saw %q", screen.String())
	}
}

func asking(t *testing.T, s http.Handler) *Cluster {
	t.Helper()
	srv := httptest.NewTLSServer(s)
	t.Cleanup(srv.Close)
	meta, err := metaclient.New(metaclient.Config{Endpoints: []string{strings.TrimPrefix(srv.URL, "https://")},
		TLS: &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(meta.Close)
	return &Cluster{Meta: meta}
}

func TestReplaceWaitsForTheRolesThatCanMove(t *testing.T) {
	prog := console.NewProgress(console.ProgressNone, io.Discard)
	t.Run("it does not wait unless told to", func(t *testing.T) {
		r, err := asking(t, newMoving(3)).Replace(t.Context(), prog, vstack.StoreID{1}, vstack.StoreID{4}, false)
		if err != nil || r.Groups != 3 || r.Left != vstack.PlacementGroups {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("roles that stay are said", func(t *testing.T) {
		c := asking(t, newMoving(3))
		r, err := c.Replace(t.Context(), prog, vstack.StoreID{1}, vstack.StoreID{}, true)
		if !errors.Is(err, console.ErrDegraded) || r.Left != vstack.PlacementGroups-3 {
			t.Errorf("%+v, %v", r, err)
		}
		m, err := c.Meta.RefreshPlacement(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := RolesOf(m, vstack.StoreID{4}); got.Votes != 3 || got.Targets != 3 || got.Gaining != 0 {
			t.Errorf("the other store: %+v", got)
		}
	})
}

func TestRolesTellWhatIsOnItsWay(t *testing.T) {
	s := newMoving(5)
	s.step()
	if got, want := RolesOf(&s.m, vstack.StoreID{1}), (Roles{Votes: 128, Targets: 128, Losing: 1}); got != want {
		t.Errorf("the one that leaves: %+v, want %+v", got, want)
	}
	if got, want := RolesOf(&s.m, vstack.StoreID{4}), (Roles{Gaining: 1}); got != want {
		t.Errorf("the one that comes: %+v, want %+v", got, want)
	}
}
