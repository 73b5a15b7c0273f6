package metastore

import (
	"errors"
	"testing"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/news"
)

// Stores hear that a film is private with the upload that they are to take chunks of: what they
// hear later comes too late.
func TestAnUploadIsPrivateFromItsOpening(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.levelBeats(vstack.NewestLevel)
	cl := c.client()
	open := wire.OpenUploadRequest{Title: "secret", Owner: vstack.ProposerID{1}, Visibility: vstack.VisibilityPrivate}
	up, err := cl.OpenUpload(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	v, err := cl.Video(t.Context(), up.Video)
	if err != nil || !v.Access.Private() || v.State != vstack.VideoUploading {
		t.Fatalf("opened %+v, %v", v, err)
	}
	view := c.members[0].catalog.View()
	page, err := news.Page(view, feed.Request{Since: up.Index - 1, Map: view.PlacementVersion()}, feed.MemberBounds())
	if err != nil || len(page.Videos) != 1 || len(page.Uploads) != 1 || page.Videos[0].ID != up.Video || !page.Videos[0].Access.Private() || len(page.Videos[0].References) != 0 {
		t.Errorf("stores hear %+v, %v", page, err)
	}
	if _, err := page.Append(nil); err != nil {
		t.Error(err)
	}
	open.Visibility = ""
	if up, err = cl.OpenUpload(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	view = c.members[0].catalog.View()
	if page, err = news.Page(view, feed.Request{Since: up.Index - 1, Map: view.PlacementVersion()}, feed.MemberBounds()); err != nil || len(page.Videos) != 0 {
		t.Errorf("of a public one stores hear %+v", page.Videos)
	}
	open.Visibility = "secret"
	if _, err = cl.OpenUpload(t.Context(), open); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("visibility %q: %v", open.Visibility, err)
	}
}

func TestNoUploadIsPrivateBelowItsLevel(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.levelBeats(vstack.LevelAccess - 1)
	open := wire.OpenUploadRequest{Title: "secret", Owner: vstack.ProposerID{1}, Visibility: vstack.VisibilityPrivate}
	if up, err := c.client().OpenUpload(t.Context(), open); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("opened %+v, %v", up, err)
	}
}
