package raftnode

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// raftProto is followed by the cluster's genesis: members of two clusters have no
	// protocol in common.
	raftProto  = "vstack-raft/1-"
	helloProto = "vstack-raft-hello/1"
	// maxHello bounds a hello: MaxPeers members, twice.
	maxHello     = 64 << 10
	helloTimeout = time.Second
)

// hello is what a member says of itself to whoever connects by helloProto: how members
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
func (s *streams) askHello(ctx context.Context, id, addr string) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	cfg := s.client.Clone()
	cfg.NextProtos = []string{helloProto}
	conn, err := s.dialTLS(ctx, addr, cfg)
	if err != nil {
		return hello{}, fmt.Errorf("ask raft member %s at %s: %w", id, addr, err)
	}
	defer conn.Close()
	state := conn.ConnectionState()
	name, err := s.peer(&state)
	if err == nil && name != id {
		err = fmt.Errorf("%w: the certificate is of %q", vstack.ErrForbidden, name)
	}
	if err != nil {
		return hello{}, fmt.Errorf("ask raft member %s at %s: %w", id, addr, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return hello{}, fmt.Errorf("ask raft member %s at %s: %w", id, addr, err)
		}
	}
	h, err := parseHello(conn)
	if err != nil {
		return hello{}, fmt.Errorf("ask raft member %s at %s: %w", id, addr, err)
	}
	if h.ID != id {
		return hello{}, fmt.Errorf("ask raft member %s at %s: %w: %s answers there", id, addr, vstack.ErrInvalid, h.ID)
	}
	return h, nil
}

// sayHello answers one connection.
func (s *streams) sayHello(conn net.Conn) error {
	b, err := json.Marshal(s.hello(s.genesis()))
	if err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	if _, err := conn.Write(b); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	return conn.Close()
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
