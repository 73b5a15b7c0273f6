package metastore

import (
	"fmt"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/news"
)

// Edits that follow each other closely reach a reader together, and what stores wait
// for reaches it at once.
func TestABurstOfEditsIsFewPagesOfTheFeed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.register()
	ctx := t.Context()
	cl := c.client()
	v, _, err := publish(ctx, cl, "v0", 1)
	if err != nil {
		t.Fatal(err)
	}
	since := c.members[0].catalog.View().FeedIndex()
	reader := c.client()
	start, edits := time.Now(), 0
	stop := make(chan struct{})
	wrote := make(chan error, 1)
	go func() {
		for ; ; edits++ {
			select {
			case <-stop:
				wrote <- nil
				return
			default:
			}
			title := fmt.Sprint(edits)
			if _, err := cl.PatchVideo(ctx, v.ID, wire.VideoPatch{Title: &title}); err != nil {
				wrote <- err
				return
			}
		}
	}()
	pages := 0
	for ; time.Since(start) < 10*news.Gather; pages++ {
		p, err := reader.Feed(ctx, since)
		if err != nil {
			t.Fatal(err)
		}
		since = p.Index
	}
	close(stop)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	most := int(time.Since(start)/news.Gather) + 1
	if pages > most || edits < pages {
		t.Errorf("%d edits came in %d pages, want at most %d", edits, pages, most)
	}
	title := "one more"
	if _, err := cl.PatchVideo(ctx, v.ID, wire.VideoPatch{Title: &title}); err != nil {
		t.Fatal(err)
	}
	up, err := cl.OpenUpload(ctx, wire.OpenUploadRequest{Owner: vstack.ProposerID{1}, Source: testSource("fed.mp4")})
	if err != nil {
		t.Fatal(err)
	}
	if view := c.members[0].catalog.View(); !view.Pressing(since) || view.Pressing(up.Index) {
		t.Errorf("an upload is pressing after %d: %v, and after its own index: %v", since, view.Pressing(since), view.Pressing(up.Index))
	}
	if p, err := reader.Feed(ctx, since); err != nil || len(p.Uploads) != 1 {
		t.Errorf("page %+v, %v", p, err)
	}
}
