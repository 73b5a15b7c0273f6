package catalog

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func TestARebasedCatalogRepeatsNoNumber(t *testing.T) {
	d := placed(t)
	d.publish(1, 3)
	open := d.must(command.OpenUpload, opening(2)).Upload
	d.publish(3, 2)
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(3)})
	d.do(command.OpenUpload, opening(4), "remembered")
	before := d.c.View()
	saved := snapshotOf(t, d.c)
	seen := before.Applied()

	// History goes on, and is lost.
	lost := d.must(command.ResumeUpload, command.ResumeUploadPayload{Upload: open.ID, Owner: proposer(9)}).Upload
	base, restored := seen+1<<32, time.Unix(1_700_000_000, 0)
	v, err := Rebase(bytes.NewReader(saved), base, vstack.LevelFirst, restored)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := v.Write(&out); err != nil {
		t.Fatal(err)
	}
	c := newCatalog(t)
	if err := c.Restore(io.NopCloser(&out)); err != nil {
		t.Fatal(err)
	}
	after := c.View()
	want, _ := v.Checksum()
	if got := checksum(t, c); got != want || after.Applied() != v.Applied() || after.Restored() != base || !after.RestoredAt().Equal(restored) || after.Cluster() != before.Cluster() {
		t.Fatalf("restored %s at %d, rebased %s at %d", got, after.Applied(), want, v.Applied())
	}
	r := &driver{t: t, c: c, index: after.Applied()}
	if res := r.do(command.Publish, command.PublishPayload{Upload: open.ID, Incarnation: open.Incarnation, Manifest: manifestOf(2, 1)}, ""); !errors.Is(res.Err(), vstack.ErrUploadNotLive) {
		t.Errorf("an upload that was open goes on: %v", res.Err())
	}
	if got, _ := after.Video(video(2)); got.State != vstack.VideoFailed {
		t.Errorf("its video is %s", got.State)
	}
	if got := r.must(command.OpenUpload, opening(5)).Upload; got.Incarnation <= lost.Incarnation || uint64(got.Incarnation) <= base {
		t.Errorf("incarnation %d after %d of the lost history", got.Incarnation, lost.Incarnation)
	}
	for pg, g := range after.Placement().Groups {
		old := before.Placement().Groups[pg]
		if uint64(g.Epoch) < base || g.Epoch <= old.Epoch || g.Attempt != 0 || g.Next != nil || len(g.Targets) != len(old.Targets) {
			t.Fatalf("group %d: %+v, was %+v", pg, g, old)
		}
	}
	readsAllAgain(t, after, seen)
	if got := after.Counts(); got.Published != 1 || got.Chunks != 4 || got.Open != 0 || got.Stores != before.Counts().Stores || got.Uploads != 4 {
		t.Errorf("counts %+v", got)
	}
}

// readsAllAgain follows the feed as one who had read the catalog before it was lost.
func readsAllAgain(t *testing.T, v *View, since uint64) {
	t.Helper()
	videos, placement := map[vstack.VideoID]vstack.VideoState{}, uint64(0)
	for {
		p := feedOf(t, v, since)
		if p.Index <= since {
			break
		}
		for _, f := range p.Videos {
			videos[f.Video.ID] = f.Video.State
		}
		if p.Placement != nil {
			placement = p.Placement.Version
		}
		since = p.Index
	}
	if videos[video(1)] != vstack.VideoPublished || videos[video(2)] != vstack.VideoFailed || videos[video(3)] != vstack.VideoDeleted || placement != v.PlacementVersion() {
		t.Errorf("the feed shows %v and placement %d", videos, placement)
	}
	if since != v.FeedIndex() {
		t.Errorf("the feed ends at %d, want %d", since, v.FeedIndex())
	}
}

func TestRebaseGoesForward(t *testing.T) {
	if _, err := Rebase(bytes.NewReader(snapshotOf(t, placed(t).c)), 1, vstack.LevelFirst, time.Unix(1, 0)); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("backwards: %v", err)
	}
}
