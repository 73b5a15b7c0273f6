package catalog

import (
	"context"
	"testing"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// script answers with the pages that a test hands it, one a request.
type script struct {
	pages chan feed.Page
	asked chan feed.Request
}

func (s *script) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	select {
	case s.asked <- req:
	case <-ctx.Done():
		return feed.Page{}, ctx.Err()
	}
	select {
	case p := <-s.pages:
		return p, nil
	case <-ctx.Done():
		return feed.Page{}, ctx.Err()
	}
}

func scripted(t *testing.T) (*script, *Follower) {
	t.Helper()
	s := &script{pages: make(chan feed.Page), asked: make(chan feed.Request)}
	return s, run(t, Config{Feed: s})
}

// answer waits for a request and answers it.
func (s *script) answer(page feed.Page) feed.Request {
	req := <-s.asked
	s.pages <- page
	return req
}

// refs are all references of a video of n chunks and an init chunk.
func refs(n byte, chunks int) feed.Video {
	var all feed.Groups
	for pg := range vstack.PG(vstack.PlacementGroups) {
		all.Add(pg)
	}
	return feed.Video{ID: vstack.VideoID{n}, State: vstack.VideoPublished, Class: vstack.ClassHot, ClassIndex: uint64(n), Changed: uint64(n),
		References: feed.Select(published(n, chunks).Manifest, all)}
}

// references counts what a snapshot has of all groups, and returns through where the group
// that is complete least far is.
func references(t *testing.T, fo *Follower) (n int, complete uint64) {
	t.Helper()
	s := fo.Snapshot()
	defer s.Close()
	complete = 1<<64 - 1
	for pg := range vstack.PG(vstack.PlacementGroups) {
		complete = min(complete, s.Complete(pg))
		if err := s.References(pg, func(r Reference) bool {
			if r.Slot.PG() != pg {
				t.Errorf("reference of slot %v in group %d", r.Slot, pg)
			}
			n++
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n, complete
}

// A view that is read again is complete through 0 until the read has come past the index at
// which it began, whoever answers meanwhile.
func TestAReReadCountsFromTheIndexAtWhichItBegan(t *testing.T) {
	up := vstack.Upload{ID: vstack.UploadID{9}, Video: vstack.VideoID{1}, State: vstack.UploadOpen}
	ended := up
	ended.State = vstack.UploadPublished
	f, fo := scripted(t)
	f.answer(feed.Page{At: 2, More: true, Placement: placed(1, other)})
	if req := f.answer(feed.Page{Index: 2, At: 2, Uploads: []vstack.Upload{up}}); req.Map != 1 || !req.Groups.Empty() {
		t.Errorf("with a map in hand asked %+v", req)
	}
	f.answer(feed.Page{Index: 3, At: 3, Uploads: []vstack.Upload{ended}})
	f.answer(feed.Page{Index: 3, At: 4, More: true, Placement: placed(4, other, mine)})
	if req := f.answer(feed.Page{Index: 4, At: 4}); req.Since != 3 || req.Have != 3 || req.Wait != 0 || req.References || !req.Groups.Has(9) {
		t.Errorf("after the map asked %+v", req)
	}
	<-f.asked // the re-read
	if fo.Index() != 4 || fo.Synced(1) {
		t.Errorf("as the re-read begins: at %d, synced %v", fo.Index(), fo.Synced(1))
	}
	// A member that lags answers it: that is no end, and what it says is out of date.
	f.pages <- feed.Page{Index: 2, At: 2, Videos: []feed.Video{refs(2, 3)}}
	f.answer(feed.Page{Index: 4, At: 4})
	if req := f.answer(feed.Page{Index: 3, At: 5, More: true, Videos: []feed.Video{refs(1, 7)}}); req.Since != 0 || req.Have != 0 || req.Seen != 4 || !req.References {
		t.Errorf("the re-read goes on with %+v", req)
	}
	<-f.asked
	if n, complete := references(t, fo); complete != 0 || n != 8 || fo.Synced(1) || fo.Open(up.ID) {
		t.Errorf("in the re-read: %d references, complete through %d, synced %v, ended upload open %v", n, complete, fo.Synced(1), fo.Open(up.ID))
	}
	f.pages <- feed.Page{Index: 4, At: 5}
	f.answer(feed.Page{Index: 4, At: 4}) // behind the member that answered before: no end
	f.answer(feed.Page{Index: 5, At: 5}) // the feed itself
	if req := <-f.asked; req.Since != 3 || !req.References {
		t.Errorf("the re-read goes on with %+v", req)
	}
	if _, complete := references(t, fo); complete != 0 {
		t.Errorf("complete through %d at an end that was none", complete)
	}
	f.pages <- feed.Page{Index: 5, At: 5}
	if req := <-f.asked; req.References || req.Wait >= 0 || req.Since != 5 || req.Have != 5 {
		t.Errorf("after the re-read asks %+v", req)
	}
	if n, complete := references(t, fo); n != 8 || complete != 5 || !fo.Synced(5) {
		t.Errorf("after the re-read: %d references, complete through %d, synced %v", n, complete, fo.Synced(5))
	}
}

// A page that another follows tells nothing of what was published before and has moved behind
// the reader since: the view is complete through the last end, not through its index.
func TestCompleteIsTheLastEndAndNotTheIndex(t *testing.T) {
	f, fo := scripted(t)
	f.answer(feed.Page{At: 9, More: true, Placement: placed(1, mine)})
	f.answer(feed.Page{Index: 2, At: 9, Videos: []feed.Video{refs(1, 7)}, More: true})
	req := <-f.asked
	if n, complete := references(t, fo); n != 8 || complete != 0 || fo.Index() != 2 || req.Since != 2 || req.Have != 0 {
		t.Errorf("in the middle: %d references, complete through %d at %d, asked %+v", n, complete, fo.Index(), req)
	}
	f.pages <- feed.Page{Index: 9, At: 9}
	if req := <-f.asked; req.Have != 9 {
		t.Errorf("asked %+v", req)
	}
	if _, complete := references(t, fo); complete != 9 || !fo.Synced(9) {
		t.Errorf("at the end: complete through %d", complete)
	}
}

// A group that the store has left stays known until it is forgotten.
func TestAGroupThatWasLeftStaysKnown(t *testing.T) {
	f, fo := scripted(t)
	f.answer(feed.Page{At: 2, More: true, Placement: placed(1, mine)})
	f.answer(feed.Page{Index: 2, At: 2, Videos: []feed.Video{refs(1, 7)}})
	<-f.asked
	if done, err := fo.Forget(3); done || err != nil {
		t.Errorf("a group of which the store is a target was forgotten: %v, %v", done, err)
	}
	f.pages <- feed.Page{Index: 2, At: 3, More: true, Placement: placed(3, other)}
	f.answer(feed.Page{Index: 3, At: 3, Videos: []feed.Video{refs(2, 7)}})
	<-f.asked
	if n, complete := references(t, fo); n != 16 || complete != 3 {
		t.Errorf("after the store left: %d references, complete through %d; want 16 and 3", n, complete)
	}
	if n := count(fo, mine); n != 0 {
		t.Errorf("the store should hold %d slots of groups that it left", n)
	}
	for pg := range vstack.PG(vstack.PlacementGroups) {
		if done, err := fo.Forget(pg); !done || err != nil {
			t.Fatalf("forget group %d: %v, %v", pg, done, err)
		}
	}
	s := fo.Snapshot()
	defer s.Close()
	if n, complete := references(t, fo); n != 0 || complete != 0 || len(s.Known()) != 0 {
		t.Errorf("after all were forgotten: %d references, complete through %d, known %v", n, complete, s.Known())
	}
	if found := fo.Slots(map[vstack.ChunkID]struct{}{{1, 3}: {}}); len(found) > 0 {
		t.Error("a chunk of a forgotten group is found")
	}
}
