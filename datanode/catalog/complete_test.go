package catalog

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// handed is a Follower to which the test hands pages of JSON, as of members that tell End.
type handed struct {
	*Follower
	t *testing.T
}

func readPages(t *testing.T, cfg Config) handed {
	t.Helper()
	cfg.Feed, cfg.Stores, cfg.Logger = newFeed(), []vstack.StoreID{mine}, slog.New(slog.DiscardHandler)
	cfg.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	fo, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fo.Close(); err != nil {
			t.Error(err)
		}
	})
	return handed{fo, t}
}

// try takes a page as the answer to a request of the feed, or of groups that are read.
func (h handed) try(p wire.FeedPage, again bool) error {
	req := h.state.request(h.placement, again)
	page := feed.FromJSON(&p, req)
	_, err := h.apply(&page, req, h.life)
	return err
}

func (h handed) take(again bool, pages ...wire.FeedPage) {
	h.t.Helper()
	for _, p := range pages {
		if err := h.try(p, again); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h handed) through(pg vstack.PG) uint64 {
	s := h.Snapshot()
	defer s.Close()
	return s.Complete(pg)
}

func changed(n byte, chunks int, index uint64) wire.FeedVideo {
	fv := *published(n, chunks)
	fv.Video.Index = index
	return fv
}

// TestOtherGroupsStayCompleteWhileOneIsReadAgain: what the view knew of them it still knows.
func TestOtherGroupsStayCompleteWhileOneIsReadAgain(t *testing.T) {
	first, second := placed(1, mine), placed(5, mine)
	first.Groups[7].Targets = []vstack.StoreID{other}
	h := readPages(t, Config{})
	h.take(false, wire.FeedPage{End: 4, More: true, Placement: first}, wire.FeedPage{Index: 4, End: 4}, wire.FeedPage{Index: 5, End: 5, Placement: second})
	if h.through(0) != 5 || h.through(7) != 0 || h.Synced(4) {
		t.Errorf("while group 7 is read: it is complete through %d, group 0 through %d", h.through(7), h.through(0))
	}
	if req := h.state.request(h.placement, true); !req.Groups.Has(7) || req.Groups.Has(6) || req.Groups.Has(8) {
		t.Errorf("groups %s are read", req.Groups.String())
	}
	h.take(false, wire.FeedPage{Index: 6, End: 6})
	if h.through(0) != 6 || h.through(7) != 0 {
		t.Errorf("news came: group 7 is complete through %d, group 0 through %d", h.through(7), h.through(0))
	}
	h.take(true, wire.FeedPage{Index: 6, End: 6})
	if h.through(0) != 6 || h.through(7) != 6 || !h.Synced(6) {
		t.Errorf("after it: group 7 is complete through %d, group 0 through %d", h.through(7), h.through(0))
	}
}

// TestALaggingMemberTurnsNoFilmBack: neither its class nor its end, by a member of the first
// release that reads from before.
func TestALaggingMemberTurnsNoFilmBack(t *testing.T) {
	film, gone := changed(1, 200, 3), changed(2, 200, 2)
	cold := film
	cold.Video.Index, cold.Video.Class = 5, vstack.ClassCold
	ended := wire.FeedVideo{Video: vstack.Video{ID: gone.Video.ID, State: vstack.VideoDeleted, Index: 6}}
	half := placed(1, mine)
	half.Groups[7].Targets = []vstack.StoreID{other}
	h := readPages(t, Config{})
	h.take(false, wire.FeedPage{More: true, Placement: half}, wire.FeedPage{Index: 5, Videos: []wire.FeedVideo{gone, cold}},
		wire.FeedPage{Index: 6, Videos: []wire.FeedVideo{ended}, Placement: placed(6, mine)})
	h.take(true, wire.FeedPage{Index: 3, More: true, Videos: []wire.FeedVideo{gone, film}})
	n := 0
	visit(h.Follower, func(ref Reference) {
		if n++; ref.Slot.Video != film.Video.ID || ref.Class != vstack.ClassCold {
			t.Errorf("slot %v is of class %s; it was cold from 5 on, or went at 6", ref.Slot, ref.Class)
		}
	})
	if n == 0 {
		t.Error("the view has no references")
	}
}

// TestGroupsThatWereLeftAreOfInterest: what a store still has of them must not look
// unnamed.
func TestGroupsThatWereLeftAreOfInterest(t *testing.T) {
	film := changed(1, 20, 3)
	var left vstack.PG
	film.Manifest.Slots(func(s vstack.Slot, _ vstack.ChunkRef) bool { left = s.PG(); return false })
	h := readPages(t, Config{Known: []vstack.PG{left}})
	h.take(false, wire.FeedPage{Index: 4, End: 4, Placement: placed(4, other), Videos: []wire.FeedVideo{film}})
	n := 0
	visit(h.Follower, func(ref Reference) {
		if n++; ref.Slot.PG() != left {
			t.Errorf("reference %+v, want only those of group %d", ref, left)
		}
	})
	if n == 0 || h.through(left) != 4 || h.rereads() {
		t.Errorf("%d slots of the group, complete through %d, read again %v", n, h.through(left), h.rereads())
	}
}

// TestAMapCountsOnceItsGroupsAreNoted: a store that cannot note where it belongs must not
// begin to hold anything there.
func TestAMapCountsOnceItsGroupsAreNoted(t *testing.T) {
	full := errors.New("no space left on device")
	h := readPages(t, Config{Join: func(*vstack.PlacementMap) error { return full }})
	if err := h.try(wire.FeedPage{Index: 4, End: 4, Placement: placed(4, mine)}, false); !errors.Is(err, full) {
		t.Errorf("answered %v", err)
	}
	if h.Placement() != nil || h.Index() != 0 {
		t.Errorf("the map counts: reached %d", h.Index())
	}
	full = nil
	h.take(false, wire.FeedPage{End: 4, More: true, Placement: placed(4, mine)}, wire.FeedPage{Index: 4, End: 4})
	if !h.Synced(4) {
		t.Error("the page that was asked for again did not count")
	}
}
