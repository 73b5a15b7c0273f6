package catalog

import (
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// note keeps an event of the command at hand, in the place of the oldest if there are many.
// Below vstack.LevelPolicy nothing is kept: older members would not.
func (a *application) note(kind vstack.EventKind, of, detail string) {
	if a.meta.Level < vstack.LevelPolicy {
		return
	}
	a.put(&rows.Event{Event: vstack.Event{Index: a.index, Part: a.noted, Time: a.time, Kind: kind, Of: of, Detail: detail, By: a.by}})
	a.noted++
	if a.meta.Events++; a.meta.Events > vstack.MaxEvents {
		a.dropOldest()
	}
}

func (a *application) dropOldest() {
	it, err := a.txn.Get(rows.TableEvents, rows.ByID)
	if err != nil {
		a.err = err
		return
	}
	if oldest, ok := it.Next().(*rows.Event); ok {
		a.remove(oldest)
		a.meta.Events--
	}
}

// Events lists events after a Raft index, the oldest first: at most limit, but for those of
// one entry, which come together. next is the since of the next page; more says whether there
// is one now.
func (v *View) Events(since uint64, limit int) (page []vstack.Event, next uint64, more bool) {
	next = since
	it, err := v.txn.LowerBound(rows.TableEvents, rows.ByID, (&rows.Event{Event: vstack.Event{Index: since + 1}}).Key())
	if err != nil {
		return nil, since, false
	}
	for o := it.Next(); o != nil; o = it.Next() {
		e := o.(*rows.Event).Event
		if len(page) >= limit && e.Index != next {
			return page, next, true
		}
		page, next = append(page, e), e.Index
	}
	return page, next, false
}
