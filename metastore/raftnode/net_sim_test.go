package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// simNet joins simulated members in virtual time. A message that meets a closed link
// waits and arrives when the link opens, as TCP would have it, or is given up by its
// sender's timeout; a killed member refuses at once.
type simNet struct {
	timeout time.Duration
	oneWay  time.Duration // that every message takes more
	// spoke is told of every AppendEntries that is sent: its sender leads its term.
	spoke func(from raft.ServerID, term uint64)

	mu      sync.Mutex
	ends    map[raft.ServerAddress]*simEnd
	closed  map[[2]raft.ServerAddress]bool // from, to
	changed chan struct{}                  // closed and replaced with every change of a link
}

func newSimNet(timeout time.Duration) *simNet {
	return &simNet{timeout: timeout, ends: map[raft.ServerAddress]*simEnd{}, closed: map[[2]raft.ServerAddress]bool{}, changed: make(chan struct{})}
}

var errSimLost = errors.New("i/o timeout")

// attach gives an address to a member that starts.
func (n *simNet) attach(addr raft.ServerAddress, id raft.ServerID) *simEnd {
	e := &simEnd{net: n, addr: addr, id: id, inbox: make(chan raft.RPC, 16), dead: make(chan struct{})}
	n.mu.Lock()
	n.ends[addr] = e
	n.mu.Unlock()
	return e
}

// set opens or closes the link from one member to another.
func (n *simNet) set(from, to raft.ServerAddress, open bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed[[2]raft.ServerAddress{from, to}] = !open
	close(n.changed)
	n.changed = make(chan struct{})
}

// isolate closes or opens links between a member and all others: what it sends, what
// is sent to it, or both.
func (n *simNet) isolate(addr raft.ServerAddress, out, in, open bool) {
	for other := range n.addresses() {
		if other == addr {
			continue
		}
		if out {
			n.set(addr, other, open)
		}
		if in {
			n.set(other, addr, open)
		}
	}
}

func (n *simNet) addresses() map[raft.ServerAddress]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[raft.ServerAddress]bool{}
	for a := range n.ends {
		out[a] = true
	}
	return out
}

// travel takes a message from one address to the other.
func (n *simNet) travel(ctx context.Context, from, to raft.ServerAddress) error {
	time.Sleep(n.oneWay + 50*time.Microsecond + time.Duration(rand.Int64N(int64(450*time.Microsecond))))
	for {
		n.mu.Lock()
		shut, changed := n.closed[[2]raft.ServerAddress{from, to}], n.changed
		n.mu.Unlock()
		if !shut {
			return ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errSimLost
		}
	}
}

// end finds who listens on an address.
func (n *simNet) end(addr raft.ServerAddress) (*simEnd, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.ends[addr]
	if e == nil || e.isDead() {
		return nil, fmt.Errorf("dial %s: connection refused", addr)
	}
	return e, nil
}

// simEnd is the raft.Transport of one run of a member. As in the product, heartbeats take
// the main loop. Entries are not pipelined: each exchange is answered before the next.
type simEnd struct {
	net   *simNet
	addr  raft.ServerAddress
	id    raft.ServerID
	node  atomic.Pointer[Node] // once it serves
	inbox chan raft.RPC
	dead  chan struct{}
	once  sync.Once
	// fast takes heartbeats, as the library's own transport would have it, if takesFast.
	fast      atomic.Pointer[func(raft.RPC)]
	takesFast bool
}

func (e *simEnd) kill() { e.once.Do(func() { close(e.dead) }) }

func (e *simEnd) isDead() bool {
	select {
	case <-e.dead:
		return true
	default:
		return false
	}
}

// exchange carries a request there and its answer back.
func (e *simEnd) exchange(target raft.ServerAddress, deliver func(ctx context.Context, to *simEnd) (any, error)) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.net.timeout)
	defer cancel()
	if err := e.net.travel(ctx, e.addr, target); err != nil {
		return nil, err
	}
	to, err := e.net.end(target)
	if err != nil || e.isDead() {
		return nil, errors.Join(err, errSimLost)
	}
	answer, err := deliver(ctx, to)
	if err != nil {
		return nil, err
	}
	if err := e.net.travel(ctx, target, e.addr); err != nil {
		return nil, err
	}
	return answer, nil
}

func (e *simEnd) call(target raft.ServerAddress, command any, r io.Reader) (any, error) {
	return e.exchange(target, func(ctx context.Context, to *simEnd) (any, error) {
		answers := make(chan raft.RPCResponse, 1)
		rpc := raft.RPC{Command: command, Reader: r, RespChan: answers}
		if req, ok := command.(*raft.AppendEntriesRequest); ok && to.fast.Load() != nil && isHeartbeat(req) {
			(*to.fast.Load())(rpc)
		} else {
			select {
			case to.inbox <- rpc:
			case <-to.dead:
				return nil, errSimLost
			case <-ctx.Done():
				return nil, errSimLost
			}
		}
		select {
		case a := <-answers:
			return a.Response, a.Error
		case <-to.dead:
			return nil, errSimLost
		case <-ctx.Done():
			return nil, errSimLost
		}
	})
}

// isHeartbeat is the library's own test.
func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return r.Term != 0 && r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

// askTerm is what a read index asks of another member.
func (e *simEnd) askTerm(target raft.ServerAddress) (uint64, error) {
	t, err := e.exchange(target, func(_ context.Context, to *simEnd) (any, error) {
		n := to.node.Load()
		if n == nil {
			return nil, errSimLost
		}
		return n.Term(), nil
	})
	if err != nil {
		return 0, err
	}
	return t.(uint64), nil
}

func (e *simEnd) Consumer() <-chan raft.RPC     { return e.inbox }
func (e *simEnd) LocalAddr() raft.ServerAddress { return e.addr }
func (e *simEnd) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}
func (e *simEnd) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }
func (e *simEnd) DecodePeer(b []byte) raft.ServerAddress                     { return raft.ServerAddress(b) }
func (e *simEnd) SetHeartbeatHandler(f func(raft.RPC)) {
	if e.takesFast && f != nil {
		e.fast.Store(&f)
	}
}

func (e *simEnd) AppendEntries(_ raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if e.net.spoke != nil && !e.isDead() {
		e.net.spoke(e.id, req.Term)
	}
	return fill(resp)(e.call(to, req, nil))
}
func (e *simEnd) RequestVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return fill(resp)(e.call(to, req, nil))
}
func (e *simEnd) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return fill(resp)(e.call(to, req, nil))
}
func (e *simEnd) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return fill(resp)(e.call(to, req, nil))
}
func (e *simEnd) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return fill(resp)(e.call(to, req, data))
}

// fill copies an answer into what the library gave for it.
func fill[T any](resp *T) func(any, error) error {
	return func(answer any, err error) error {
		if err != nil {
			return err
		}
		*resp = *(answer.(*T))
		return nil
	}
}
