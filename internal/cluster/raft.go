package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// joinPoll is how often a member that joins is looked at, followPoll one that is to
	// follow another leader.
	joinPoll   = 250 * time.Millisecond
	followPoll = 25 * time.Millisecond
)

// JoinMember adds a member, waiting for its process, and waits until it has its vote. say is
// told of its progress.
func (c *Cluster) JoinMember(ctx context.Context, id vstack.HostID, raft, api string, say func(string)) (wire.RaftStatus, error) {
	p, err := c.addMember(ctx, id, raft, api, say)
	if err != nil {
		return wire.RaftStatus{}, err
	}
	say(fmt.Sprintf("%s (instance %s) is added without a vote until it has caught up", id, p.Instance))
	tick := time.NewTicker(joinPoll)
	defer tick.Stop()
	last := "not looked at yet"
	for {
		select {
		case <-ctx.Done():
			return wire.RaftStatus{}, console.Hint(fmt.Errorf("member %s has no vote yet: %w: %s", id, vstack.ErrTimeout, last),
				"vstack raft peers: the leader goes on, and gives it up after 10 minutes")
		case <-tick.C:
		}
		st, err := c.Meta.RaftStatus(ctx)
		if err != nil {
			continue // the deadline ends it
		}
		now, found := peerOf(st, string(id), p.Instance)
		switch {
		case !found && st.Leader != "":
			return st, console.Hint(fmt.Errorf("member %s did not catch up and was removed again: %w", id, vstack.ErrTimeout), "the log of leader %s says why", st.Leader)
		case now.Voter:
			return st, nil
		case !now.Reached:
			last = "it does not answer at " + api
		default:
			last = fmt.Sprintf("it is %s, %d entries behind", now.Standing, now.Behind)
		}
	}
}

func peerOf(st wire.RaftStatus, id, instance string) (wire.RaftPeer, bool) {
	for _, p := range st.Peers {
		if p.ID == id && p.Instance == instance {
			return p, true
		}
	}
	return wire.RaftPeer{}, false
}

// LeaveMember removes a member. One that is none is an error here, since whoever types
// its name expects it to be.
func (c *Cluster) LeaveMember(ctx context.Context, id vstack.HostID, force bool) (wire.RaftStatus, error) {
	list, err := c.Meta.Members(ctx)
	if err != nil {
		return wire.RaftStatus{}, err
	}
	known := false
	for _, m := range list.Items {
		known = known || m.ID == string(id)
	}
	if !known {
		return wire.RaftStatus{}, console.Hint(fmt.Errorf("member %s: %w", id, vstack.ErrNotFound), "vstack raft peers")
	}
	if err := c.Meta.RemoveMember(ctx, id, force); err != nil {
		return wire.RaftStatus{}, console.Hint(err, "vstack raft status")
	}
	tick := time.NewTicker(joinPoll)
	defer tick.Stop()
	for {
		st, err := c.Meta.RaftStatus(ctx)
		if err != nil || !slices.ContainsFunc(st.Peers, func(p wire.RaftPeer) bool { return p.ID == string(id) }) {
			return st, err
		}
		select { // the member that answered hears of it in a moment
		case <-ctx.Done():
			return st, nil
		case <-tick.C:
		}
	}
}

// TransferLeader hands leadership over, and waits for the new leader.
func (c *Cluster) TransferLeader(ctx context.Context, to string) (wire.RaftStatus, error) {
	if err := c.Meta.TransferLeader(ctx, to); err != nil {
		return wire.RaftStatus{}, console.Hint(err, "vstack raft peers")
	}
	return c.FollowedLeader(ctx)
}

// FollowedLeader waits until every member that answers follows one leader: whoever looks
// next finds it, whichever member is asked. When ctx ends it returns what there is.
func (c *Cluster) FollowedLeader(ctx context.Context) (wire.RaftStatus, error) {
	tick := time.NewTicker(followPoll)
	defer tick.Stop()
	var last wire.RaftStatus
	for {
		st, err := c.Meta.RaftStatus(ctx)
		if err != nil && len(last.Peers) > 0 && ctx.Err() != nil {
			return last, nil
		}
		if err != nil {
			return st, err
		}
		last = st
		late := slices.ContainsFunc(st.Peers, func(p wire.RaftPeer) bool { return p.Reached && p.Standing == "member" && p.Follows != st.Leader })
		if st.Leader != "" && !late {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return st, nil
		case <-tick.C:
		}
	}
}

// AllFollow waits until every member answers, has its vote and follows one leader. When ctx
// ends it returns what there is.
func (c *Cluster) AllFollow(ctx context.Context) (wire.RaftStatus, error) {
	tick := time.NewTicker(joinPoll)
	defer tick.Stop()
	for {
		st, err := c.Meta.RaftStatus(ctx)
		late := slices.ContainsFunc(st.Peers, func(p wire.RaftPeer) bool {
			return !p.Reached || p.Standing != "member" || !p.Voter || p.Follows != st.Leader
		})
		if err == nil && st.Leader != "" && !late {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return st, err
		case <-tick.C:
		}
	}
}
