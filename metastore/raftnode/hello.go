package raftnode

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxHello bounds a hello: MaxPeers members, twice.
	maxHello = 64 << 10
)

// hello is what a member says of itself to whoever connects by transport.HelloProto: how members
// of an empty directory find out whether there is a cluster already, and who is in it.
type hello struct {
	ID       string    `json:"id"`
	Instance string    `json:"instance"`
	List     string    `json:"list"` // hash of its configured list
	Join     bool      `json:"join"` // it waits to be added and founds nothing
	Genesis  string    `json:"genesis,omitempty"`
	Founders []Founder `json:"founders,omitempty"`
	Members  []Member  `json:"members,omitempty"`
	Leader   string    `json:"leader,omitempty"`
	Term     uint64    `json:"term,omitempty"`
	// LastIndex is of the log, which Members are read from.
	LastIndex uint64 `json:"last_index,omitempty"`
}

func parseHello(r io.Reader) (h hello, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxHello+1))
	if err != nil {
		return h, fmt.Errorf("read hello: %w", err)
	}
	if len(b) > maxHello {
		return h, fmt.Errorf("read hello: %w: more than %d bytes", vstack.ErrTooLarge, maxHello)
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("read hello: %w: %v", vstack.ErrInvalid, err)
	}
	if h.ID == "" || h.Instance == "" || len(h.Members) > MaxPeers || len(h.Founders) > MaxPeers {
		return h, fmt.Errorf("read hello: %w: id %.80q, instance %.80q, %d members, %d founders", vstack.ErrInvalid, h.ID, h.Instance, len(h.Members), len(h.Founders))
	}
	return h, nil
}

// hello is this member's own. It is asked for from before streams is set.
func (n *Node) hello(genesis string) hello {
	o := n.origin.Load()
	h := hello{ID: o.ID, Instance: o.Instance, List: listHash(n.cfg.Peers), Join: n.cfg.Join}
	if genesis == "" {
		return h
	}
	h.Genesis, h.Founders = genesis, o.Founders
	if !n.ready.Load() {
		return h // Raft starts
	}
	// In this order: members that have changed meanwhile are told of as older ones.
	h.LastIndex = n.raft.LastIndex()
	h.Members, h.Leader, h.Term = n.Members(), n.Leader(), n.raft.CurrentTerm()
	return h
}

// askHello asks the member at addr; whatever listens there must answer for id.
func (n *Node) askHello(ctx context.Context, id, addr string) (h hello, err error) {
	err = n.streams.Ask(ctx, id, addr, func(r io.Reader) (err error) {
		if h, err = parseHello(r); err == nil && h.ID != id {
			err = fmt.Errorf("%w: %s answers there", vstack.ErrInvalid, h.ID)
		}
		return err
	})
	return h, err
}

// sayHello is this member's hello as it is sent.
func (n *Node) sayHello(genesis string) ([]byte, error) {
	b, err := json.Marshal(n.hello(genesis))
	if err != nil {
		return nil, fmt.Errorf("encode hello: %w", err)
	}
	return b, nil
}

// hasState reports whether Raft ever wrote anything here.
func hasState(logs raft.LogStore, stable raft.StableStore, snaps raft.SnapshotStore) (bool, error) {
	if err := resumeBootstrap(logs, stable, snaps); err != nil {
		return false, err
	}
	has, err := raft.HasExistingState(logs, stable, snaps)
	if err != nil {
		return false, fmt.Errorf("look for raft state: %w", err)
	}
	return has, nil
}
