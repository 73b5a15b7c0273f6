package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// The remembered answers of a view are those of its index, however many requests follow
// before it is written.
func TestAViewKeepsItsAnswersWhileTheCatalogGoesOn(t *testing.T) {
	d := placed(t)
	d.must(command.OpenUpload, opening(0))
	patch := func(n int) {
		title := fmt.Sprint(n)
		if r := d.do(command.PatchVideo, command.PatchVideoPayload{Video: video(0), Title: &title}, fmt.Sprintf("request %d", n)); r.Code != "" {
			t.Fatal(r)
		}
	}
	const before = 100
	for n := range before {
		patch(n)
	}
	view := d.c.View()
	want, err := view.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	for n := range MaxRequests + 500 {
		patch(before + n)
	}
	if n := len(d.c.requests); n != MaxRequests {
		t.Fatalf("%d requests are remembered, want %d", n, MaxRequests)
	}
	var b bytes.Buffer
	if err := view.Write(&b); err != nil {
		t.Fatal(err)
	}
	c := newCatalog(t)
	if err := c.Restore(io.NopCloser(&b)); err != nil {
		t.Fatal(err)
	}
	if got := checksum(t, c); got != want || len(c.requests) != before {
		t.Fatalf("checksum %s with %d requests, want %s with %d", got, len(c.requests), want, before)
	}
	// A repeat is answered from the restored rows, as the first time.
	first := c.requests["request 7"]
	r := c.Apply(entry(t, 1_000_000, command.PatchVideo, command.PatchVideoPayload{Video: video(0)}, "request 7")).(*command.Result)
	if r.Code != "" || r.Index != first.Result.Index || r.Video.Title != "7" {
		t.Fatalf("the repeat was answered %+v", r)
	}
}

func TestRequestsOfASnapshotMustBeWhatRememberKeeps(t *testing.T) {
	row := func(id string, index uint64) *rows.Request {
		return &rows.Request{ID: id, Type: command.PatchVideo, Result: command.Result{Index: index}}
	}
	for name, c := range map[string]struct {
		rows []*rows.Request
		want int
		err  error
	}{
		"in any order":             {[]*rows.Request{row("b", 9), row("a", 4)}, 2, nil},
		"none":                     {nil, 0, nil},
		"an id twice":              {[]*rows.Request{row("a", 4), row("a", 9)}, 2, vstack.ErrCorrupt},
		"an index twice":           {[]*rows.Request{row("a", 4), row("b", 4)}, 2, vstack.ErrCorrupt},
		"fewer than the meta says": {[]*rows.Request{row("a", 4)}, 2, vstack.ErrCorrupt},
	} {
		a := &application{requests: map[string]*rows.Request{}}
		for _, r := range c.rows {
			a.remember(r)
		}
		if err := a.restoreRequests(c.want); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if c.err == nil && !slices.IsSortedFunc(a.meta.Answers, func(x, y *rows.Request) int { return int(x.Result.Index) - int(y.Result.Index) }) {
			t.Errorf("%s: the oldest is not first", name)
		}
	}
}
