package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// addMember adds a member, and waits for its process where that is yet to come: it was just
// started, or has not heard yet that its predecessor was removed. say is told what for.
func (c *Cluster) addMember(ctx context.Context, id vstack.HostID, raft, api string, say func(string)) (wire.RaftPeer, error) {
	tick := time.NewTicker(joinPoll)
	defer tick.Stop()
	last := ""
	for {
		p, err := c.Meta.AddMember(ctx, id, raft, api)
		lacks := ""
		if errors.Is(err, vstack.ErrInvalid) {
			lacks = c.lacks(ctx, id, raft, api)
		}
		switch {
		case err != nil && ctx.Err() != nil && last != "":
			return p, console.Hint(fmt.Errorf("member %s was not added: %w: %s", id, vstack.ErrTimeout, last), "on %s: systemctl status vstack", id)
		case err == nil || lacks == "":
			return p, console.Hint(err, "vstack raft status; on the new host: vstack server with meta.join: true")
		case lacks != last:
			last = lacks
			say("waiting: " + last)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// lacks is what a process that cannot be added yet still lacks, where nothing but time brings
// it; "" where somebody has to do something first.
func (c *Cluster) lacks(ctx context.Context, id vstack.HostID, raft, api string) string {
	var p wire.RaftPeer
	if err := c.Get(ctx, api, "/v1/raft/self", &p); err != nil {
		return fmt.Sprintf("the process of %s does not answer at %s yet: %v", id, api, err)
	}
	if p.ID != string(id) || p.Raft != raft || p.API != api {
		return ""
	}
	switch p.Standing {
	case "joining", "member": // since it was asked for
		return fmt.Sprintf("%s gets ready", id)
	case "forming":
		return fmt.Sprintf("%s looks for its cluster: %s", id, p.Detail)
	case "refused": // by those who know it as the instance that was removed just now
		list, err := c.Meta.Members(ctx)
		if err == nil && !slices.ContainsFunc(list.Items, func(m wire.RaftMember) bool { return m.ID == string(id) }) {
			return fmt.Sprintf("%s has not heard yet that it was removed", id)
		}
	}
	return ""
}
