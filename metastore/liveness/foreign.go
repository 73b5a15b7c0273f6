package liveness

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

// Foreign takes the stores out of a heartbeat that this catalog cannot speak for:
// those whose program cannot read what it says, those whose past is not its own, and copies
// of the directories of other hosts' stores: one of two with one identity may vote. A
// catalog that was made anew, or set back to an old backup, does not name what they
// hold, and must not let them think that nobody needs it.
func Foreign(view *catalog.View, hb *wire.Heartbeat) map[vstack.StoreID]string {
	refused := map[vstack.StoreID]string{}
	hb.Stores = slices.DeleteFunc(hb.Stores, func(r wire.StoreReport) bool {
		switch {
		case hb.Level.OrFirst() < view.Level():
			refused[r.ID] = fmt.Sprintf("%v: it knows level %d, the cluster is at %d: start the newer vstack on host %s", vstack.ErrLevelTooOld, hb.Level.OrFirst(), view.Level(), hb.Host)
		case !r.Cluster.IsZero() && r.Cluster != view.Cluster():
			of := "cluster " + view.Cluster().String()
			if view.Cluster().IsZero() {
				of = "no cluster yet: it is new"
			}
			refused[r.ID] = fmt.Sprintf("%v: the store is of cluster %s, the catalog of %s", vstack.ErrForeignCatalog, r.Cluster, of)
		case r.Seen > view.Applied():
			refused[r.ID] = fmt.Sprintf("%v: the store has followed it to index %d, and it is at %d: it went back", vstack.ErrForeignCatalog, r.Seen, view.Applied())
		case elsewhere(view, hb.Host, r.ID):
			st, _ := view.Store(r.ID)
			refused[r.ID] = fmt.Sprintf("%v: the directory is a copy of that of store %s, which is host %s's, at %s: move it aside, and an empty one becomes a new store; the other stores of host %s go on",
				vstack.ErrAlreadyExists, r.ID, st.Host, st.Addr, hb.Host)
		default:
			return false
		}
		return true
	})
	return refused
}

// elsewhere reports whether a store is known as another host's.
func elsewhere(view *catalog.View, host vstack.HostID, id vstack.StoreID) bool {
	st, known := view.Store(id)
	return known && st.Host != host
}
