package membership

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode"
)

const (
	// askTimeout bounds asking the other members, where they are not far apart.
	askTimeout = time.Second
	// selfPath is where a member tells of itself.
	selfPath = "/v1/raft/self"
	// contactFresh is how long ago a member may have heard of its leader to count as one
	// that would go on.
	contactFresh = 2 * time.Second
)

// Config is what a Manager needs.
type Config struct {
	// ID is this member's. Required, as all but the times.
	ID   string
	Node *raftnode.Node
	// Self tells of this member, Ask gets JSON from the member that serves at addr.
	Self func() (wire.RaftPeer, error)
	Ask  func(ctx context.Context, addr, path string, v any) error
	// Applied is the last index in this member's catalog.
	Applied func() uint64
	// Level is the feature level of this member's catalog.
	Level  func() vstack.Level
	Logger *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// RoundTrip is the longest between two members, 0 for that of one place.
	RoundTrip time.Duration
	// Tick is how often the leader looks at members that join, and at its disk. Default
	// 250 ms.
	Tick time.Duration
	// JoinTimeout is how long a new member may take to catch up. Default 10 min.
	JoinTimeout time.Duration
	// RemoveAfter is for how long a voter must be dead to be removed by itself; see RunDead.
	// Default three days; below 0 never.
	RemoveAfter time.Duration
}

// Manager is the membership of one cluster, as one member sees and changes it.
type Manager struct {
	cfg     Config
	version atomic.Pointer[version]

	handovers prometheus.Counter
}

// version is the name of a list.
type version struct {
	of   *raftnode.Member // the first of the list that Node shares
	name string
}

// New makes a manager.
func New(cfg Config) (*Manager, error) {
	if cfg.ID == "" || cfg.Node == nil || cfg.Self == nil || cfg.Ask == nil || cfg.Applied == nil || cfg.Level == nil || cfg.Logger == nil {
		return nil, fmt.Errorf("membership: %w: ID, Node, Self, Ask, Applied, Level and Logger are required", vstack.ErrInvalid)
	}
	if cfg.Tick <= 0 {
		cfg.Tick = 250 * time.Millisecond
	}
	if cfg.JoinTimeout <= 0 {
		cfg.JoinTimeout = 10 * time.Minute
	}
	if cfg.RemoveAfter == 0 {
		cfg.RemoveAfter = 72 * time.Hour
	}
	m := &Manager{cfg: cfg, handovers: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "vstack_metastore_disk_handovers_total", Help: "Times that this member gave leadership to another because its disk was slow, or tried to.",
	})}
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(m.handovers); err != nil {
			return nil, fmt.Errorf("register the metrics of membership: %w", err)
		}
	}
	return m, nil
}

// Version names the list of members; empty for a process that is of no cluster. Clients
// that have another ask for the list.
func (m *Manager) Version() string {
	members := m.cfg.Node.Members()
	if len(members) == 0 {
		return ""
	}
	if v := m.version.Load(); v != nil && v.of == &members[0] {
		return v.name
	}
	lines := make([]string, 0, len(members))
	for _, p := range members {
		lines = append(lines, p.ID+"."+p.Instance+"="+p.API)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	v := &version{&members[0], hex.EncodeToString(sum[:6])}
	m.version.Store(v)
	return v.name
}

// List answers from this member's own configuration, without asking anybody.
func (m *Manager) List() wire.RaftMembers {
	out := wire.RaftMembers{Version: m.Version(), Cluster: m.cfg.Node.Genesis(), Leader: m.cfg.Node.Leader(), Items: []wire.RaftMember{}}
	for _, p := range m.cfg.Node.Members() {
		out.Items = append(out.Items, wire.RaftMember{ID: p.ID, Instance: p.Instance, Raft: p.Addr, API: p.API, Voter: p.Voter})
	}
	slices.SortFunc(out.Items, func(a, b wire.RaftMember) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Status asks every member for its own state.
func (m *Manager) Status(ctx context.Context) (wire.RaftStatus, error) {
	me, err := m.cfg.Self()
	if err != nil {
		return wire.RaftStatus{}, err
	}
	out := wire.RaftStatus{Node: m.cfg.ID, Cluster: me.Cluster, Leader: m.cfg.Node.Leader(), Term: me.Term, Applied: me.Applied, Checksum: me.Checksum, Level: m.cfg.Level()}
	out.Peers = m.askAll(ctx)
	var commit uint64 // the furthest that anybody knows, which is the leader's
	sums := map[uint64]string{}
	voters, good := 0, 0
	for _, p := range out.Peers {
		if p.Reached {
			commit = max(commit, p.Commit)
			if sum, ok := sums[p.Applied]; ok && sum != p.Checksum {
				out.Diverged = true
			}
			sums[p.Applied] = p.Checksum
		}
		if p.Voter {
			voters++
			if healthy(p) {
				good++
			}
		}
	}
	for i := range out.Peers {
		if p := &out.Peers[i]; p.Reached {
			p.Behind = commit - p.Commit
		}
	}
	out.CanFail = max(0, good-(voters/2+1))
	return out, nil
}

// healthy reports whether a member answers and follows or leads.
func healthy(p wire.RaftPeer) bool { return p.Reached && (p.Leader || follows(p)) }

func follows(p wire.RaftPeer) bool {
	return p.LastContact > 0 && p.LastContact < contactFresh.Seconds()
}

// Peers asks every member for its own state; those that do not answer in time are not
// Reached.
func (m *Manager) Peers(ctx context.Context) []wire.RaftPeer { return m.askAll(ctx) }

// patience bounds asking the other members: to connect takes two round trips, to ask one.
func (m *Manager) patience() time.Duration { return max(askTimeout, 5*m.cfg.RoundTrip) }

// askAll asks every member; those that do not answer in time are not Reached.
func (m *Manager) askAll(ctx context.Context) []wire.RaftPeer {
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	members := m.cfg.Node.Members()
	out := make([]wire.RaftPeer, len(members))
	lead := m.cfg.Node.Leader()
	var wg sync.WaitGroup
	for i, p := range members {
		wg.Go(func() { out[i] = m.ask(ctx, p) })
	}
	wg.Wait()
	for i, p := range members {
		out[i].Voter, out[i].Leader = p.Voter, p.ID == lead
	}
	return out
}

// ask asks one member; another instance in its place has not been Reached.
func (m *Manager) ask(ctx context.Context, of raftnode.Member) wire.RaftPeer {
	var p wire.RaftPeer
	var err error
	if of.ID == m.cfg.ID {
		p, err = m.cfg.Self()
	} else {
		err = m.cfg.Ask(ctx, of.API, selfPath, &p)
	}
	none := wire.RaftPeer{ID: of.ID, Instance: of.Instance, Raft: of.Addr, API: of.API}
	switch {
	case err != nil || p.ID != of.ID:
		return none
	case p.Instance != of.Instance: // its directory was emptied: it says what to do
		none.Standing, none.Detail = p.Standing, p.Detail
		return none
	}
	p.Reached = true
	return p
}
