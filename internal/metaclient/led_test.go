package metaclient

import (
	"testing"
	"time"

	"github.com/vstack/vstack/internal/wire"
)

// TestTheStatusIsThatOfAMemberWithALeader: the host that comes first in a bundle may be one
// whose directory was emptied. It answers, and knows nobody.
func TestTheStatusIsThatOfAMemberWithALeader(t *testing.T) {
	peers := []wire.RaftPeer{{ID: "a"}, {ID: "b", Reached: true}, {ID: "c", Reached: true}}
	items := []wire.RaftMember{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	refused := serve(t, give(wire.RaftStatus{Node: "a"}))
	follower := serve(t, give(wire.RaftStatus{Node: "b", Leader: "c", Peers: peers}))
	c := connect(t, nil, refused, follower)
	if st, err := c.RaftStatus(t.Context()); err != nil || st.Node != "b" || len(st.Peers) != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	refused.become(give(wire.RaftMembers{}))
	follower.become(give(wire.RaftMembers{Leader: "c", Items: items}))
	c = connect(t, nil, refused, follower)
	if m, err := c.Members(t.Context()); err != nil || len(m.Items) != 3 {
		t.Errorf("%+v, %v", m, err)
	}
	// Nobody has a leader: the answer of whom most can be learned from, and at once.
	refused.become(give(wire.RaftStatus{Node: "a"}))
	follower.become(give(wire.RaftStatus{Node: "b", Peers: peers}))
	c = connect(t, func(cfg *Config) { cfg.Timeout = time.Hour }, refused, follower)
	if st, err := c.RaftStatus(t.Context()); err != nil || st.Node != "b" {
		t.Errorf("without a leader: %+v, %v", st, err)
	}
}
