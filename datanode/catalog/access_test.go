package catalog

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestWhoMayWatchOutlivesARestart: and a view that is read anew is not open meanwhile.
func TestWhoMayWatchOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	open := func() *Follower {
		f, err := Open(Config{Dir: dir, Feed: newFeed(), Stores: []vstack.StoreID{mine}, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	h := handed{open(), t}
	if !h.Guarded() {
		t.Error("a view that was never whole is open")
	}
	film := changed(1, 3, 2)
	chunk := film.Manifest.Tracks[0].Chunks[0].ID
	h.take(false, wire.FeedPage{End: 2, More: true, Placement: placed(1, mine)}, wire.FeedPage{Index: 2, End: 2, Videos: []wire.FeedVideo{film}})
	if free, _, err := h.Watched(chunk); err != nil || !free || h.Guarded() {
		t.Errorf("of a public film: free %v, guarded %v, %v", free, h.Guarded(), err)
	}
	film.Video.Index = 4
	film.Video.Access = vstack.Access{Visibility: vstack.VisibilityPrivate, TokensFrom: time.Unix(1_800_000_000, 0).UTC(), Index: 4}
	key := vstack.TokenKey{ID: "k1", Public: bytes.Repeat([]byte{1}, 32)}
	h.take(false, wire.FeedPage{Index: 4, End: 4, Videos: []wire.FeedVideo{film}, Keys: &vstack.TokenKeys{Index: 3, Items: []vstack.TokenKey{key}}})
	judge := func(f *Follower) {
		t.Helper()
		free, private, err := f.Watched(chunk)
		if err != nil || free || len(private) != 1 || private[0].Access != film.Video.Access || !f.Guarded() || len(f.Keys().Items) != 1 {
			t.Errorf("free %v, private %+v, guarded %v, keys %+v, %v", free, private, f.Guarded(), f.Keys(), err)
		}
	}
	judge(h.Follower)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	f := open()
	judge(f)
	if err := f.Restored(time.Unix(5, 0)); err != nil {
		t.Fatal(err)
	}
	if free, _, err := f.Watched(chunk); free || err != nil || !f.Guarded() {
		t.Errorf("while it is read anew: free %v, guarded %v, %v", free, f.Guarded(), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
