package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/views"
)

func run(n int) uuid.UUID { return uuid.UUID{9, byte(n)} }

func viewsOf(t *testing.T, d *driver) int64 {
	t.Helper()
	v, err := d.c.View().Video(video(1))
	if err != nil {
		t.Fatal(err)
	}
	return v.Views
}

func TestARepeatedBatchOfViewsCountsOnce(t *testing.T) {
	d := placed(t)
	d.publish(1, 1)
	batch := command.AddViewsPayload{Views: []command.VideoViews{{Video: video(1), Count: 5}}, Source: wire.ViewsSource{Run: run(1), Seq: 1}}
	d.do(command.AddViews, batch, "batch")
	for n := range MaxRequests { // so many that the batch's request id is forgotten
		title := fmt.Sprint(n)
		d.do(command.PatchVideo, command.PatchVideoPayload{Video: video(1), Title: &title}, fmt.Sprintf("request %d", n))
	}
	d.do(command.AddViews, batch, "batch")
	if got := viewsOf(t, d); got != 5 {
		t.Fatalf("%d views of a batch of 5 that was sent twice", got)
	}
	next := batch
	next.Source.Seq++
	other := batch
	other.Source.Run = run(2)
	for _, p := range []command.AddViewsPayload{next, other, batch, next, other} {
		d.must(command.AddViews, p)
	}
	if got := viewsOf(t, d); got != 15 {
		t.Errorf("%d views of three batches of 5", got)
	}
	// It is part of the state that a snapshot carries.
	c := newCatalog(t)
	if err := c.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if got, want := checksum(t, c), checksum(t, d.c); got != want {
		t.Errorf("restored with checksum %s, want %s", got, want)
	}
	restored := &driver{t: t, c: c, index: d.index}
	restored.must(command.AddViews, batch)
	if got := viewsOf(t, restored); got != 15 {
		t.Errorf("%d views after a restored member saw a batch again, want 15", got)
	}
}

func TestRunsThatCountViewsAreBounded(t *testing.T) {
	d := placed(t)
	d.publish(1, 1)
	one := func(n int, seq uint64) command.AddViewsPayload {
		return command.AddViewsPayload{Views: []command.VideoViews{{Video: video(1), Count: 1}}, Source: wire.ViewsSource{Run: run(n), Seq: seq}}
	}
	old := d.c.View()
	for n := range views.MaxRuns {
		d.must(command.AddViews, one(n, 1))
	}
	d.must(command.AddViews, one(0, 2)) // it is the last one now
	d.must(command.AddViews, one(views.MaxRuns, 1))
	if n := len(d.c.View().meta.Viewers); n != views.MaxRuns {
		t.Errorf("%d runs are remembered, want %d", n, views.MaxRuns)
	}
	before := viewsOf(t, d)
	d.must(command.AddViews, one(0, 2))
	d.must(command.AddViews, one(2, 1))
	if got := viewsOf(t, d); got != before {
		t.Errorf("%d views of repeats by runs that counted lately", got-before)
	}
	if n := len(old.meta.Viewers); n != 0 {
		t.Errorf("the view of an older index has %d runs, want none", n)
	}
}

// Below the level of numbered batches the log and the meta row say nothing of them: a
// member of the level before reads both strictly.
func TestBatchesWithoutANumberLeaveNoTrace(t *testing.T) {
	d := placed(t)
	d.publish(1, 1)
	p := command.AddViewsPayload{Views: []command.VideoViews{{Video: video(1), Count: 5}}}
	d.must(command.AddViews, p)
	d.must(command.AddViews, p)
	if got := viewsOf(t, d); got != 10 {
		t.Errorf("%d views of two batches", got)
	}
	for what, v := range map[string]any{"source": p, "viewers": d.c.View().meta} {
		if b, err := json.Marshal(v); err != nil || bytes.Contains(b, []byte(what)) {
			t.Errorf("%s, %v", b, err)
		}
	}
}
