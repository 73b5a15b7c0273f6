package catalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/catalog/frame"
)

func TestUploadsEndOnce(t *testing.T) {
	d := placed(t)
	up := d.must(command.OpenUpload, opening(1)).Upload
	if up.Incarnation != 1 || up.Index != d.index || up.State != vstack.UploadOpen {
		t.Fatalf("opened %+v", up)
	}
	d.must(command.AbortUpload, command.AbortUploadPayload{Upload: upload(1), Incarnation: up.Incarnation})
	d.must(command.AbortUpload, command.AbortUploadPayload{Upload: upload(1)}) // again: the same end
	if v, _ := d.c.View().Video(video(1)); v.State != vstack.VideoFailed {
		t.Fatalf("video of an aborted upload is %s", v.State)
	}
	for typ, payload := range map[command.Type]any{
		command.Publish:      command.PublishPayload{Upload: upload(1), Incarnation: 1, Manifest: manifestOf(1, 1)},
		command.ResumeUpload: command.ResumeUploadPayload{Upload: upload(1), Owner: proposer(2)},
	} {
		if r := d.do(typ, payload, ""); !errors.Is(r.Err(), vstack.ErrUploadNotLive) {
			t.Errorf("%s after abort: %v", typ, r.Err())
		}
	}
	if r := d.do(command.OpenUpload, opening(1), ""); !errors.Is(r.Err(), vstack.ErrAlreadyExists) {
		t.Errorf("an id is used again: %v", r.Err())
	}
	d.publish(2, 2)
	other := manifestOf(2, 3)
	if r := d.do(command.Publish, command.PublishPayload{Upload: upload(2), Incarnation: 2, Manifest: other}, ""); !errors.Is(r.Err(), vstack.ErrUploadNotLive) {
		t.Errorf("another manifest after publish: %v", r.Err())
	}
	if r := d.do(command.AbortUpload, command.AbortUploadPayload{Upload: upload(2)}, ""); !errors.Is(r.Err(), vstack.ErrUploadNotLive) {
		t.Errorf("abort after publish: %v", r.Err())
	}
}

func TestDeletingLeavesATombstone(t *testing.T) {
	d := placed(t)
	d.publish(1, 2)
	d.must(command.OpenUpload, opening(2))
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)})
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)})
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(2)})
	v := d.c.View()
	if got, err := v.Video(video(1)); err != nil || got.State != vstack.VideoDeleted {
		t.Fatalf("deleted video: %+v, %v", got, err)
	}
	if _, _, err := v.Manifest(video(1)); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("manifest of a deleted video: %v", err)
	}
	if u, _ := v.Upload(upload(2)); u.State != vstack.UploadAborted {
		t.Errorf("upload of a deleted video is %s", u.State)
	}
	if page, _ := v.Videos("", 0, 10); len(page) != 0 {
		t.Errorf("deleted videos are listed: %+v", page)
	}
	if page, _ := v.Videos(vstack.VideoDeleted, 0, 10); len(page) != 2 {
		t.Errorf("%d tombstones are listed on demand, want 2", len(page))
	}
	if r := d.do(command.OpenUpload, opening(1), ""); !errors.Is(r.Err(), vstack.ErrAlreadyExists) {
		t.Errorf("the id of a deleted video is used again: %v", r.Err())
	}
	title := "x"
	if r := d.do(command.PatchVideo, command.PatchVideoPayload{Video: video(1), Title: &title}, ""); !errors.Is(r.Err(), vstack.ErrNotFound) {
		t.Errorf("patch of a deleted video: %v", r.Err())
	}
}

func TestOpenUploadWantsAPlacementAndRoom(t *testing.T) {
	d := &driver{t: t, c: newCatalog(t)}
	if r := d.do(command.OpenUpload, opening(1), ""); !errors.Is(r.Err(), vstack.ErrNotReady) {
		t.Fatalf("without a placement: %v", r.Err())
	}
	d = placed(t)
	for i := range MaxOpenUploads {
		d.must(command.OpenUpload, opening(i))
	}
	if r := d.do(command.OpenUpload, opening(MaxOpenUploads), ""); !errors.Is(r.Err(), vstack.ErrTooManyUploads) {
		t.Fatalf("beyond the bound: %v", r.Err())
	}
	d.must(command.AbortUpload, command.AbortUploadPayload{Upload: upload(0)})
	d.must(command.OpenUpload, opening(MaxOpenUploads))
}

func TestAStoreKeepsItsHost(t *testing.T) {
	d := placed(t)
	moved := registration(0)
	moved.Host = "h9"
	if r := d.do(command.RegisterStores, moved, ""); !errors.Is(r.Err(), vstack.ErrAlreadyExists) {
		t.Fatalf("one store on two hosts: %v", r.Err())
	}
	addr := registration(0)
	addr.Stores[0].Addr = "127.0.0.9:8081"
	d.must(command.RegisterStores, addr)
	m := d.c.View().Placement()
	if s, _ := m.Store(store(0)); s.Addr != "127.0.0.9:8081" || m.Version != d.index {
		t.Errorf("moved store %+v in version %d", s, m.Version)
	}
	d.must(command.RegisterStores, addr)
	if v := d.c.View().PlacementVersion(); v != d.index-1 {
		t.Errorf("registering the same again changed the placement to %d", v)
	}
}

func TestPlacementFreezesWithTheFirstUpload(t *testing.T) {
	d := placed(t)
	d.must(command.RegisterStores, registration(3))
	if r := d.do(command.AssignPlacement, command.AssignPlacementPayload{Base: d.index - 1, Groups: plan(4)}, ""); !errors.Is(r.Err(), vstack.ErrEpochStale) {
		t.Fatalf("a plan of an older map: %v", r.Err())
	}
	d.must(command.AssignPlacement, command.AssignPlacementPayload{Base: d.c.View().PlacementVersion(), Groups: plan(4)})
	changed, kept := 0, 0
	for pg, g := range d.c.View().Placement().Groups {
		switch {
		case g.Epoch == 2 && len(g.Targets) == 4:
			changed++
		case g.Epoch == 1:
			kept++
		default:
			t.Errorf("group %d: %+v", pg, g)
		}
	}
	if changed != vstack.PlacementGroups {
		t.Errorf("%d groups moved to epoch 2, %d did not", changed, kept)
	}
	d.must(command.OpenUpload, opening(1))
	d.must(command.RegisterStores, registration(4))
	if r := d.do(command.AssignPlacement, command.AssignPlacementPayload{Base: d.c.View().PlacementVersion(), Groups: plan(5)}, ""); !errors.Is(r.Err(), vstack.ErrAlreadyExists) {
		t.Fatalf("after an upload was opened: %v", r.Err())
	}
}

func TestEchoesOnlyRise(t *testing.T) {
	d := placed(t)
	d.must(command.SetLiveness, command.SetLivenessPayload{Echoes: []command.StoreEcho{{ID: store(1), LSN: 70}}})
	feed := d.c.View().FeedIndex()
	d.must(command.SetLiveness, command.SetLivenessPayload{Echoes: []command.StoreEcho{{ID: store(1), LSN: 60}, {ID: store(99), LSN: 5}}})
	if s, _ := d.c.View().Store(store(1)); s.Echo != 70 {
		t.Errorf("echo fell to %d", s.Echo)
	}
	if d.c.View().FeedIndex() != feed {
		t.Error("an echo wakes the feed")
	}
}

func TestViewsCountWithoutWakingTheFeed(t *testing.T) {
	d := placed(t)
	d.publish(1, 1)
	feed := d.c.View().FeedIndex()
	d.must(command.AddViews, command.AddViewsPayload{Views: []command.VideoViews{{Video: video(1), Count: 3}, {Video: video(7), Count: 1}, {Video: video(1), Count: -5}}})
	d.must(command.AddViews, command.AddViewsPayload{Views: []command.VideoViews{{Video: video(1), Count: 4}}})
	v, _ := d.c.View().Video(video(1))
	if v.Views != 7 {
		t.Errorf("%d views, want 7", v.Views)
	}
	if d.c.View().FeedIndex() != feed {
		t.Error("views wake the feed, which would send the manifest again")
	}
	if page, _ := d.c.View().Videos("", 0, 1); page[0].Views != 7 {
		t.Errorf("listing shows %d views", page[0].Views)
	}
}

func TestListingsPageNewestFirst(t *testing.T) {
	d := placed(t)
	const n = 25
	for i := range n {
		d.must(command.OpenUpload, opening(i))
	}
	var got []vstack.VideoID
	for before, pages := uint64(0), 0; ; pages++ {
		page, next := d.c.View().Videos("", before, 10)
		for _, v := range page {
			got = append(got, v.ID)
		}
		if next == 0 {
			if pages != 2 {
				t.Errorf("%d pages, want 3", pages+1)
			}
			break
		}
		before = next
	}
	for i, id := range got {
		if id != video(n-1-i) {
			t.Fatalf("place %d of the listing is %s", i, id)
		}
	}
	if len(got) != n {
		t.Fatalf("listed %d of %d", len(got), n)
	}
	if page, next := d.c.View().Videos("", 0, n); len(page) != n || next != 0 {
		t.Errorf("a page of exactly all has %d items and next %d", len(page), next)
	}
	ups, _ := d.c.View().Uploads(vstack.UploadOpen, vstack.ChunkID{3}, 0, 10)
	if len(ups) != 1 || ups[0].ID != upload(3) {
		t.Errorf("uploads of one source: %+v", ups)
	}
}

// follow reads the feed to its end.
func follow(t *testing.T, v *View, since uint64) (pages []wire.FeedPage) {
	t.Helper()
	for {
		p := feedOf(t, v, since)
		if p.Index < since || (p.More && p.Index == since) {
			t.Fatalf("page of %d stands still at %d", since, p.Index)
		}
		pages = append(pages, p)
		if since = p.Index; !p.More {
			return pages
		}
	}
}

func TestFeedPagesCarryEveryChangeOnce(t *testing.T) {
	d := placed(t)
	const n = 700
	for i := range n {
		d.publish(i, 60) // more than feedChunks in all
	}
	for i := range n { // changes at neighbouring indexes, so that no page may skip one
		d.must(command.SetPolicy, command.SetPolicyPayload{Video: video(i), Policy: vstack.PolicyHot})
	}
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(5)})
	d.must(command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(0), State: vstack.StoreDown}}})
	pages := follow(t, d.c.View(), 0)
	if len(pages) < 3 {
		t.Fatalf("%d pages: paging is not tested", len(pages))
	}
	videos, uploads, maps := map[vstack.VideoID]int{}, map[vstack.UploadID]int{}, 0
	for _, p := range pages {
		for _, v := range p.Videos {
			videos[v.Video.ID]++
			if (v.Manifest == nil) != (v.Video.ID == video(5)) {
				t.Errorf("video %s: manifest %v", v.Video.ID, v.Manifest != nil)
			}
		}
		for _, u := range p.Uploads {
			uploads[u.ID]++
		}
		if p.Placement != nil {
			maps++
		}
	}
	if len(videos) != n || len(uploads) != n || maps != 1 {
		t.Fatalf("%d videos, %d uploads, %d maps; want %d, %d, 1", len(videos), len(uploads), maps, n, n)
	}
	for id, k := range videos {
		if k != 1 {
			t.Errorf("video %s came %d times", id, k)
		}
	}
	last := pages[len(pages)-1].Index
	if p := feedOf(t, d.c.View(), last); p.Index != last || p.More || len(p.Videos)+len(p.Uploads) != 0 {
		t.Errorf("at the end: %+v", p)
	}
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(6)})
	if p := feedOf(t, d.c.View(), last); len(p.Videos) != 1 || p.Index != d.index || p.Placement != nil {
		t.Errorf("after one change: %d videos to %d", len(p.Videos), p.Index)
	}
}

func TestWaitersWakeWhenTheCatalogCatchesUp(t *testing.T) {
	d := placed(t)
	at := d.index
	done := make(chan error, 1)
	go func() { done <- d.c.WaitApplied(t.Context(), at+1) }()
	d.must(command.RegisterStores, registration(3))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.c.WaitApplied(ctx, at+2); !errors.Is(err, vstack.ErrCatalogLagging) {
		t.Fatalf("an index that never comes: %v", err)
	}
}

func TestSnapshotsRefuseDecay(t *testing.T) {
	d := placed(t)
	d.publish(1, 3)
	d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(8)}, "r")
	good := snapshotOf(t, d.c)
	c := newCatalog(t)
	restore := func(b []byte) error { return c.Restore(io.NopCloser(bytes.NewReader(b))) }
	if err := restore(good); err != nil || checksum(t, c) != checksum(t, d.c) {
		t.Fatalf("a good snapshot: %v", err)
	}
	for i := 0; i < len(good); i++ {
		if i > 300 {
			i += 12 // every byte of the start, then a sample: a restore costs half a millisecond
		}
		bad := bytes.Clone(good)
		bad[min(i, len(bad)-1)] ^= 0x20
		if err := restore(bad); err == nil {
			t.Fatalf("a flip in byte %d of %d is not seen", i, len(good))
		}
	}
	for _, n := range []int{0, 7, 8, 12, len(good) / 2, len(good) - 1} {
		if err := restore(good[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes is not seen", n, len(good))
		}
	}
	if err := restore(append(bytes.Clone(good), 0)); err == nil {
		t.Error("a byte after the end is not seen")
	}
	if checksum(t, c) != checksum(t, d.c) {
		t.Error("a refused snapshot changed the catalog")
	}
	// A frame that is whole but says something else is found by the checksum.
	forged := reframe(good)
	if err := restore(forged); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("a changed row with a right CRC: %v", err)
	}
}

// reframe changes a title and repairs the frame's CRC.
func reframe(b []byte) []byte {
	b = bytes.Clone(b)
	for at := len(form.Magic); at < len(b); {
		n := int(binary.LittleEndian.Uint32(b[at:]))
		payload := b[at+frame.HeaderLen : at+frame.HeaderLen+n]
		if i := bytes.Index(payload, []byte("video 1")); i >= 0 {
			payload[i] = 'V'
			binary.LittleEndian.PutUint32(b[at+4:], frame.CRC(frame.Kind(b[at+8]), payload))
		}
		at += frame.HeaderLen + n
	}
	return b
}
