package holdings

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// MaxColumns bounds the width of a grid.
const MaxColumns = 120

// Grid says where a film lies and what may fail.
type Grid struct {
	// HostsCanFail and StoresCanFail may be lost from now, chosen worst; -1: a chunk cannot
	// be read now.
	HostsCanFail  int                 `json:"hosts_can_fail"`
	StoresCanFail int                 `json:"stores_can_fail"`
	Class         vstack.StorageClass `json:"class"`
	// Groups are the placement groups that the film has chunks in; in Waiting of them a
	// store lacks something of the class, as the leader heard.
	Groups  int `json:"groups"`
	Waiting int `json:"groups_waiting"`
	Chunks  int `json:"chunks"`
	// Columns is the length of each row; Stores are in the order of their hosts.
	Columns int   `json:"columns"`
	Stores  []Row `json:"stores"`
}

// Row is what one store is to hold. Copies and Fragments have a digit a column: how much of
// the stretch's chunks, from 0, none, to 9, all.
type Row struct {
	Store     vstack.StoreID `json:"store"`
	Chunks    int            `json:"chunks"` // copies and fragments together
	Copies    string         `json:"copies"`
	Fragments string         `json:"fragments,omitempty"`
}

// cells counts chunks by column.
type cells struct{ copies, fragments []int }

// Of draws the holdings of a film whose tracks have the slots that p lists.
func Of(p wire.VideoPlacement) Grid {
	last := map[uint16]uint32{} // of a track, its highest sequence number
	longest := uint32(0)
	for _, s := range p.Slots {
		last[s.Slot.Track] = max(last[s.Slot.Track], s.Slot.Seq)
		longest = max(longest, s.Slot.Seq+1)
	}
	g := Grid{
		HostsCanFail: p.HostsCanFail, StoresCanFail: p.StoresCanFail, Class: p.Class, Groups: p.Groups, Waiting: p.Waiting,
		Chunks: len(p.Slots), Columns: int(min(longest, MaxColumns)), Stores: []Row{},
	}
	all := make([]int, g.Columns)
	rows := map[vstack.StoreID]*cells{}
	for _, s := range p.Slots {
		col := int(uint64(s.Slot.Seq) * uint64(g.Columns) / uint64(last[s.Slot.Track]+1))
		all[col]++
		for _, id := range s.Holders {
			if rows[id] == nil {
				rows[id] = &cells{make([]int, g.Columns), make([]int, g.Columns)}
			}
			if s.Scheme.IsZero() {
				rows[id].copies[col]++
			} else {
				rows[id].fragments[col]++
			}
		}
	}
	for id, c := range rows {
		copies, n := digits(c.copies, all)
		fragments, m := digits(c.fragments, all)
		if m == 0 {
			fragments = ""
		}
		g.Stores = append(g.Stores, Row{Store: id, Chunks: n + m, Copies: copies, Fragments: fragments})
	}
	slices.SortFunc(g.Stores, func(a, b Row) int { return slices.Compare(a.Store[:], b.Store[:]) })
	return g
}

// digits writes shares, of which only none is 0 and only all is 9, and counts the chunks.
func digits(have, of []int) (string, int) {
	out := make([]byte, len(of))
	sum := 0
	for i, n := range have {
		sum += n
		switch {
		case n == 0:
			out[i] = '0'
		case n >= of[i]:
			out[i] = '9'
		default:
			out[i] = '1' + byte(7*n/of[i])
		}
	}
	return string(out), sum
}
