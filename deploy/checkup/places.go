package checkup

import (
	"context"
	"sync"

	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Place is the address of a store that is down, and which store answers there instead.
type Place struct {
	Addr  string
	Store vstack.StoreID // zero: none
}

// visit asks at the places of stores that are down.
func (f *Facts) visit(ctx context.Context, c *cluster.Cluster) {
	for _, n := range f.Nodes {
		for _, st := range n.Stores {
			if st.State == vstack.StoreDown {
				f.Places = append(f.Places, Place{Addr: st.Addr})
			}
		}
	}
	var wg sync.WaitGroup
	for i := range f.Places {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lookTimeout)
			defer cancel()
			var st wire.StoreStatus
			if err := c.Get(ctx, f.Places[i].Addr, "/v1/store", &st); err == nil {
				f.Places[i].Store = st.Report.ID
			}
		})
	}
	wg.Wait()
}

// at is the store that answers at an address of one that is down.
func (f *Facts) at(addr string) vstack.StoreID {
	for _, p := range f.Places {
		if p.Addr == addr {
			return p.Store
		}
	}
	return vstack.StoreID{}
}

// store finds a registered store.
func (f *Facts) store(id vstack.StoreID) (vstack.Store, bool) {
	for _, n := range f.Nodes {
		for _, st := range n.Stores {
			if st.ID == id {
				return st.Store, true
			}
		}
	}
	return vstack.Store{}, false
}

// vacant judges the stores of a host that are down while the host is not: its directory was
// lost, or is another one's, or its disk does not let it start.
func vacant(f *Facts, n wire.Node) (out []doctor.Finding, all bool) {
	all = true
	for _, st := range n.Stores {
		if st.State != vstack.StoreDown {
			all = false
			continue
		}
		by := f.at(st.Addr)
		of, known := f.store(by)
		switch {
		case by == st.ID || by.IsZero() || !known: // it is just coming, or nothing is there
			out = append(out, found("store "+st.Addr, doctor.Warn, "on "+string(n.Host)+": journalctl -u vstack, vstack doctor; if its disk is gone: docs/runbook.md, A disk died", "does not answer, its host does: left out at the start, for its disk or its key"))
		case of.Host != n.Host:
			all = false
			out = append(out, found("store "+st.Addr, doctor.Warn, "on "+string(n.Host)+": stop the host, move the directory aside, start it: an empty one becomes a new store",
				"its directory is a copy of that of store %s, which is that of host %s, at %s: it serves reads and votes for nothing", of.ID, of.Host, of.Addr))
		default:
			all = false
			if !f.emptied(st.ID) {
				out = append(out, found("store "+st.Addr, doctor.Warn, "vstack store replace "+st.ID.String()+" --with "+of.ID.String()+" --wait --yes; then vstack store rm "+st.ID.String()+" --yes",
					"store %s is gone, a new one is in its place: %s", st.ID, of.ID))
			}
		}
	}
	return out, all
}

// emptied says that nothing is left to be done for a store but to forget it.
func (f *Facts) emptied(id vstack.StoreID) bool {
	for _, o := range f.Orders {
		if o.Store == id && o.Roles == 0 && o.State == vstack.StoreDown {
			return true
		}
	}
	return false
}
