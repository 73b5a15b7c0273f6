package status

import (
	"context"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// Member is one member, asked how it is.
type Member struct {
	ID        string
	Raft, API string // where it is configured to serve
	Node      *raftnode.Node
	Catalog   *catalog.Catalog
	// Losses is how many losses of votes it holds.
	Losses func() int
	// Closed says that it ends.
	Closed func() bool
}

// Self is the member as it sees itself.
func (s Member) Self() (wire.RaftPeer, error) {
	st := s.Node.Status()
	view := s.Catalog.View()
	sum, err := view.Checksum()
	if err != nil {
		return wire.RaftPeer{}, err
	}
	standing, detail := s.Node.Standing()
	p := wire.RaftPeer{
		ID: s.ID, Instance: s.Node.Instance(), Raft: s.Raft, API: s.API, Reached: true, State: st.State, Term: st.Term,
		Standing: string(standing), Detail: detail, Cluster: s.Node.Genesis(), DiskWrite: st.DiskWrite.Seconds(),
		DiskSlow: st.Disk.Slow, DiskStalls: st.Disk.Stalls, DiskWrites: st.Disk.Writes,
		LastIndex: st.LastIndex, Commit: st.Commit, Applied: view.Applied(), Checksum: sum,
		LastContact: max(0, st.LastContact.Seconds()), Leader: st.State == "leader",
		Follows: s.Node.Leader(), Level: vstack.NewestLevel, Held: s.Losses(),
	}
	for _, m := range st.Members {
		p.Voter = p.Voter || (m.ID == s.ID && m.Voter)
	}
	return p, nil
}

// Ready makes the checks of /readyz.
func (s Member) Ready(context.Context) []ops.Check {
	raft := ops.Check{Name: "raft"}
	st := s.Node.Status()
	standing, detail := s.Node.Standing()
	switch _, leads := s.Node.Leading(); {
	case standing != raftnode.Belongs:
		raft.Err = fmt.Errorf("%w: %s: %s", vstack.ErrNoLeader, standing, detail)
	case leads:
		raft.Detail = fmt.Sprintf("leader of term %d", st.Term)
	case s.Node.Leader() == "" || st.State != "follower":
		raft.Err = fmt.Errorf("%w: %s in term %d", vstack.ErrNoLeader, st.State, st.Term)
	default:
		raft.Detail = fmt.Sprintf("follows %s in term %d", s.Node.Leader(), st.Term)
	}
	voters := 0
	for _, m := range st.Members {
		if m.Voter {
			voters++
		}
	}
	members := ops.Check{Name: "members", Detail: fmt.Sprintf("%d vote, %d join; cluster %s", voters, len(st.Members)-voters, s.Node.Genesis())}
	raftDisk := ops.Check{Name: "raft disk", Detail: fmt.Sprintf("last write took %s, the longest %s; writes above %s took %.0f %% of the last %s",
		st.DiskWrite.Round(10*time.Microsecond), st.DiskWorst.Round(10*time.Microsecond), disk.SlowWrite, 100*st.Disk.Slow, disk.Window)}
	view := s.Catalog.View()
	return []ops.Check{raft, members, raftDisk, s.check(view), {Name: "placement", Detail: placed.Placement(view)}}
}

func (s Member) check(view *catalog.View) ops.Check {
	c := ops.Check{Name: "catalog", Detail: fmt.Sprintf("applied index %d", view.Applied())}
	if s.Closed() {
		c.Err = vstack.ErrClosed
	}
	return c
}
