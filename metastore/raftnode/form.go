package raftnode

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Standing is what this member is to its cluster.
type Standing string

const (
	// Forming: an empty directory that waits for the other founders.
	Forming Standing = "forming"
	// Joining: an empty directory that waits to be added.
	Joining Standing = "joining"
	// Refused: an empty directory whose member the cluster knows, with promises that
	// this one does not remember.
	Refused Standing = "refused"
	// Belongs: a member.
	Belongs Standing = "member"
	// Removed: the others have gone on without it.
	Removed Standing = "removed"
)

// standing is a Standing and what to do about it.
type standing struct {
	is     Standing
	detail string
}

const (
	formEvery   = 50 * time.Millisecond // while the cluster is formed, at first
	formEagerly = 10 * time.Second
	joinEvery   = 500 * time.Millisecond
	removedWait = time.Second // without a leader, before asking whether it was removed
)

// Standing answers what this member is to its cluster, and why it does not serve.
func (n *Node) Standing() (Standing, string) {
	s := n.standing.Load()
	return s.is, s.detail
}

func (n *Node) setStanding(is Standing, detail string) {
	old := n.standing.Swap(&standing{is, detail})
	if old != nil && *old == (standing{is, detail}) {
		return
	}
	log := n.cfg.Logger.Info
	if is == Refused || is == Removed {
		log = n.cfg.Logger.Error
	}
	if is != Belongs || old != nil && old.is != Belongs {
		log("raft member", "member", n.cfg.ID, "standing", is, "detail", detail)
	}
}

// Genesis names the cluster; empty before this member is of one.
func (n *Node) Genesis() string { return n.streams.Genesis() }

// settle makes an empty directory a member, and then watches whether it still is.
func (n *Node) settle() {
	defer n.wg.Done()
	began := time.Now()
	for {
		wait := joinEvery
		switch {
		case n.streams.Genesis() != "":
			n.watchRemoval()
		default:
			if err := n.form(); err != nil {
				n.cfg.Logger.Warn("form the raft cluster", "member", n.cfg.ID, "err", err)
			}
			if s, _ := n.Standing(); s == Forming && time.Since(began) < formEagerly {
				wait = formEvery
			}
		}
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// form asks the others and does what their answers allow.
func (n *Node) form() error {
	o := n.origin.Load()
	if len(o.Founders) > 0 { // cut off after it was decided, before Raft had written
		return n.found(*o)
	}
	answers := n.askPeers(n.cfg.Peers)
	v := decide(*o, n.cfg.Peers, n.cfg.Join, answers)
	if v.genesis == "" {
		n.setStanding(v.standing, v.detail)
		return nil
	}
	next := *o
	next.Genesis, next.Founders = v.genesis, v.founders
	if err := writeOrigin(n.cfg, next); err != nil {
		return err
	}
	n.origin.Store(&next)
	if len(v.founders) > 0 {
		return n.found(next)
	}
	n.startOnFirstWrite()
	n.enterCluster(next.Genesis)
	return nil
}

// found bootstraps. Nobody hears this member before it has noted that it started.
func (n *Node) found(o origin) error {
	err := n.raft.BootstrapCluster(configurationOf(o.Founders)).Error()
	if err != nil && err != raft.ErrCantBootstrap { // there is state: cut off after it
		return fmt.Errorf("bootstrap raft: %w", err)
	}
	if err := n.started(); err != nil {
		return err
	}
	n.enterCluster(o.Genesis)
	return nil
}

// started notes durably that Raft may have promised something from here on.
func (n *Node) started() error {
	next := *n.origin.Load()
	if next.Started {
		return nil
	}
	next.Started = true
	if err := writeOrigin(n.cfg, next); err != nil {
		return err
	}
	n.origin.Store(&next)
	return nil
}

// startOnFirstWrite has a member that joins note its start before Raft's first write.
func (n *Node) startOnFirstWrite() { n.guard.OnFirst(n.started) }

func (n *Node) enterCluster(genesis string) {
	n.setStanding(Belongs, "")
	n.streams.SetGenesis(genesis)
	n.cfg.Logger.Info("raft member of cluster", "member", n.cfg.ID, "instance", n.origin.Load().Instance, "cluster", genesis)
}

// askPeers asks everybody else at once.
func (n *Node) askPeers(peers []Peer) map[string]hello {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.hello())
	defer cancel()
	var mu sync.Mutex
	answers := map[string]hello{}
	var wg sync.WaitGroup
	for _, p := range peers {
		if p.ID == n.cfg.ID {
			continue
		}
		wg.Go(func() {
			h, err := n.askHello(ctx, p.ID, p.Addr)
			if err != nil {
				n.cfg.Logger.Debug("raft hello", "of", p.ID, "err", err)
				return
			}
			mu.Lock()
			answers[p.ID] = h
			mu.Unlock()
		})
	}
	wg.Wait()
	return answers
}

// verdict is what an empty directory may do: wait, for which detail says why, or be of
// the cluster genesis, founding it where founders are given.
type verdict struct {
	standing Standing
	detail   string
	genesis  string
	founders []Founder
}

// decide judges the answers of the configured list. The rules:
//
//  1. Where a cluster exists, it decides: it knows this instance (as a founder whose
//     bootstrap was late, or as one that was added), or another instance under this
//     name, which is refused, or none, and then this one waits to be added.
//  2. Where none exists, all of the list must be there, with one list, and then found
//     the cluster together. Less would do for a majority, and would let a member whose
//     directory is emptied meanwhile found a second cluster.
func decide(me origin, peers []Peer, join bool, answers map[string]hello) verdict {
	var clusters []hello
	for _, p := range peers {
		if h, ok := answers[p.ID]; ok && h.Genesis != "" {
			clusters = append(clusters, h)
		}
	}
	if len(clusters) > 0 {
		return decideAmong(me, peers, clusters)
	}
	if join {
		return verdict{standing: Joining, detail: addMe(me, "no member of a cluster answers yet; ")}
	}
	founders := []Founder{{ID: me.ID, Instance: me.Instance, Raft: me.Raft, API: me.API}}
	var missing []string
	for _, p := range peers {
		if p.ID == me.ID {
			continue
		}
		h, ok := answers[p.ID]
		switch {
		case !ok || h.Join:
			missing = append(missing, p.ID)
			continue
		case h.List != listHash(peers):
			return verdict{standing: Refused, detail: fmt.Sprintf("%s was started with another list of members; the list must be the same on all", p.ID)}
		}
		founders = append(founders, Founder{ID: h.ID, Instance: h.Instance, Raft: p.Addr, API: p.API})
	}
	if len(missing) > 0 {
		return verdict{standing: Forming, detail: "the first start wants every member of the list; waiting for " + strings.Join(missing, ", ")}
	}
	slices.SortFunc(founders, func(a, b Founder) int { return strings.Compare(a.ID, b.ID) })
	return verdict{standing: Belongs, genesis: genesisOf(founders), founders: founders}
}

func decideAmong(me origin, peers []Peer, clusters []hello) verdict {
	for _, h := range clusters[1:] {
		if h.Genesis != clusters[0].Genesis {
			return verdict{standing: Refused, detail: fmt.Sprintf("%s and %s are of two clusters, %s and %s", clusters[0].ID, h.ID, clusters[0].Genesis, h.Genesis)}
		}
	}
	for _, h := range clusters {
		if founds(me, peers, h) {
			return verdict{standing: Belongs, genesis: h.Genesis, founders: h.Founders}
		}
	}
	now := latest(clusters)
	if len(now.Members) == 0 {
		return verdict{standing: Forming, detail: "the cluster is starting"}
	}
	for _, m := range now.Members {
		switch {
		case m.ID == me.ID && m.Instance == me.Instance:
			return verdict{standing: Belongs, genesis: now.Genesis}
		case m.ID == me.ID:
			return verdict{standing: Refused, detail: fmt.Sprintf(
				"this directory is empty, and cluster %s knows %s as instance %s, which may have voted and acknowledged there. Bring its directory back, or: vstack raft remove %s --yes, then vstack raft add %s --raft %s --api %s",
				now.Genesis, me.ID, m.Instance, me.ID, me.ID, me.Raft, me.API)}
		}
	}
	return verdict{standing: Joining, detail: addMe(me, "")}
}

// latest is the answer with the latest members, which is that of the longest log: one that
// was removed may not know, and one that has just joined goes through those of old while
// it catches up. The library does not tell the index of a configuration.
func latest(answers []hello) hello {
	var out hello
	for _, h := range answers {
		if len(h.Members) > 0 && (len(out.Members) == 0 || h.Term > out.Term || h.Term == out.Term && h.LastIndex > out.LastIndex) {
			out = h
		}
	}
	return out
}

// founds reports whether h says that this very instance was a founder, under this
// member's own list. Then it never ran: a founder that ran has state.
func founds(me origin, peers []Peer, h hello) bool {
	if len(h.Founders) != len(peers) || genesisOf(h.Founders) != h.Genesis {
		return false
	}
	mine := false
	for _, f := range h.Founders {
		if !slices.ContainsFunc(peers, func(p Peer) bool { return p.ID == f.ID && p.Addr == f.Raft && p.API == f.API }) {
			return false
		}
		mine = mine || f.ID == me.ID && f.Instance == me.Instance
	}
	return mine
}

func addMe(me origin, why string) string {
	return fmt.Sprintf("%swaits to be added: vstack raft add %s --raft %s --api %s", why, me.ID, me.Raft, me.API)
}

// watchRemoval finds out whether a member that hears no leader was removed. Members that
// have a leader in its term or a later one must say so.
func (n *Node) watchRemoval() {
	if n.Leader() != "" || n.raft.State() == raft.Leader {
		n.setStanding(Belongs, "")
		return
	}
	if last := n.raft.LastContact(); time.Since(last) < removedWait {
		return
	}
	o := n.origin.Load()
	asked := slices.Clone(n.cfg.Peers)
	for _, m := range n.Members() {
		if !slices.ContainsFunc(asked, func(p Peer) bool { return p.ID == m.ID }) {
			asked = append(asked, Peer{ID: m.ID, Addr: m.Addr, API: m.API})
		}
	}
	var led []hello
	for _, h := range n.askPeers(asked) {
		if h.Genesis == o.Genesis && h.Leader != "" && h.Term >= n.raft.CurrentTerm() {
			led = append(led, h)
		}
	}
	now := latest(led)
	switch {
	case slices.ContainsFunc(now.Members, func(m Member) bool { return m.ID == o.ID && m.Instance == o.Instance }):
		n.setStanding(Belongs, "")
	// One that joins has no term before the leader reaches it, and may be removed after
	// that without an entry.
	case len(now.Members) > 0 && n.raft.CurrentTerm() > 0:
		n.setStanding(Removed, fmt.Sprintf("this member was removed from cluster %s; to come back, empty %s, restart, and: vstack raft add %s --raft %s --api %s",
			o.Genesis, n.cfg.Dir, o.ID, o.Raft, o.API))
	}
}
