package wire

import "github.com/vstack/vstack/internal/vstack"

// Stats answers GET /v1/stats: the cluster in figures, as its leader knows them. What stores
// count begins anew when they do.
type Stats struct {
	Cluster vstack.ClusterID `json:"cluster"`
	Leader  string           `json:"leader"` // member that answers
	Term    uint64           `json:"term"`
	Level   vstack.Level     `json:"level"`

	// Videos are published ones, by their class; Moving those on their way to another.
	Videos map[vstack.StorageClass]Tally `json:"videos"`
	Moving int                           `json:"moving"`
	// Bears is what the worst of them may lose; absent while that is not known.
	Bears *Bears `json:"bears,omitempty"`

	// Hosts and Stores count by state; Silent are stores that have not reported to this
	// leader, of which nothing below tells.
	Hosts  map[vstack.StoreState]int `json:"hosts"`
	Stores map[vstack.StoreState]int `json:"stores"`
	Silent int                       `json:"silent"`

	Capacity  int64 `json:"capacity"`   // bytes that stores may use
	Used      int64 `json:"used"`       // bytes on their disks, space reserved ahead included
	Stored    int64 `json:"stored"`     // of which chunks that count take
	Chunks    int64 `json:"chunks"`     // copies and fragments that they hold
	Missing   int64 `json:"missing"`    // of which they should hold and do not yet
	Corrupt   int64 `json:"corrupt"`    // found damaged and not healed yet
	Reads     int64 `json:"reads"`      // requests served since the stores' start
	ReadBytes int64 `json:"read_bytes"` // bytes served since then
	Writes    int64 `json:"writes"`     // chunks accepted since then
}

// Count adds up what hosts and their stores reported.
func (s *Stats) Count(nodes []Node) {
	s.Hosts, s.Stores = map[vstack.StoreState]int{}, map[vstack.StoreState]int{}
	for _, n := range nodes {
		s.Hosts[n.State]++
		for _, one := range n.Stores {
			s.Stores[one.State]++
			r := one.Report
			if r == nil {
				s.Silent++
				continue
			}
			s.Capacity, s.Used, s.Chunks = s.Capacity+r.Capacity, s.Used+r.Used, s.Chunks+r.Chunks
			s.Stored += r.Holds()
			s.Missing, s.Corrupt = s.Missing+r.Missing, s.Corrupt+r.Corrupt
			s.Reads, s.ReadBytes, s.Writes = s.Reads+r.Reads, s.ReadBytes+r.ReadSize, s.Writes+r.Writes
		}
	}
}
