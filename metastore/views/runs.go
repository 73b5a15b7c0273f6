package views

import (
	"slices"

	"github.com/vstack/vstack/internal/wire"
)

// MaxRuns is how many runs of members are remembered: those of many restarts of the
// largest cluster. It is part of the catalog's format: members must forget the same ones.
const MaxRuns = 64

// Counted is the list of runs after a batch of views, and whether that was counted before. A
// request id alone would be forgotten once so many other requests have passed, while a batch
// whose answer was lost is sent again for as long as there is no leader to confirm it. runs
// stays as it is, since the views of older indexes have it.
func Counted(runs []wire.ViewsSource, s wire.ViewsSource) (after []wire.ViewsSource, before bool) {
	if s == (wire.ViewsSource{}) {
		return runs, false // of a level below
	}
	at := slices.IndexFunc(runs, func(v wire.ViewsSource) bool { return v.Run == s.Run })
	if at >= 0 && s.Seq <= runs[at].Seq {
		return runs, true
	}
	rest := slices.Clone(runs)
	switch {
	case at >= 0:
		rest = slices.Delete(rest, at, at+1)
	case len(rest) == MaxRuns:
		rest = rest[1:]
	}
	return append(rest, s), false
}
