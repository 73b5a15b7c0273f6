package metastore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// proposeTimeout bounds a leader's own writes.
const proposeTimeout = 5 * time.Second

// monitor is the leader's memory of heartbeats. It is empty on a follower, and begins
// anew with each term.
type monitor struct {
	suspectAfter, downAfter, echoEvery time.Duration
	// stall is how far apart two ticks may be before the time between them is taken
	// as the leader's own standstill and not as the stores' silence.
	stall time.Duration

	mu     sync.Mutex
	term   uint64
	since  time.Time // of the term, moved on by standstills
	ticked time.Time
	echoed time.Time // when echoes were last committed
	stores map[vstack.StoreID]*sighting
	hosts  map[vstack.HostID]hostSighting
}

// sighting is the last report of a store.
type sighting struct {
	at     time.Time
	report wire.StoreReport
	lsn    vstack.LSN // highest of this term
}

type hostSighting struct {
	at      time.Time
	version string
}

func newMonitor(cfg Config) *monitor {
	return &monitor{suspectAfter: cfg.SuspectAfter, downAfter: cfg.DownAfter, echoEvery: cfg.EchoEvery,
		stall: max(4*cfg.Tick, time.Second)}
}

// lead begins a term's memory, or keeps it.
func (m *monitor) lead(l raftnode.Leadership, now time.Time) {
	if m.term == l.Term {
		return
	}
	m.term, m.since, m.ticked, m.echoed = l.Term, now, now, now
	m.stores = map[vstack.StoreID]*sighting{}
	m.hosts = map[vstack.HostID]hostSighting{}
}

// forget drops the memory of a leader that is one no more.
func (m *monitor) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term, m.stores, m.hosts = 0, nil, nil
}

// record takes a heartbeat of registered stores.
func (m *monitor) record(l raftnode.Leadership, hb wire.Heartbeat, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lead(l, now)
	m.hosts[hb.Host] = hostSighting{now, hb.Version}
	for _, r := range hb.Stores {
		s := m.stores[r.ID]
		if s == nil {
			s = &sighting{}
			m.stores[r.ID] = s
		}
		s.at, s.report, s.lsn = now, r, max(s.lsn, r.LSN)
	}
}

// judge compares what was heard with what is committed.
func (m *monitor) judge(l raftnode.Leadership, stores []catalog.Store, now time.Time) (p catalog.SetLivenessPayload) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lead(l, now)
	if gap := now.Sub(m.ticked); gap > m.stall {
		// This process was paused or starved: it heard nobody because it did not listen.
		m.since = m.since.Add(gap)
		for _, s := range m.stores {
			s.at = s.at.Add(gap)
		}
	}
	m.ticked = now
	echo := now.Sub(m.echoed) >= m.echoEvery
	for _, st := range stores {
		seen := m.stores[st.ID]
		if state := m.stateOf(st.State, seen, now); state != st.State {
			p.States = append(p.States, catalog.StoreLiveness{ID: st.ID, State: state})
		}
		if seen != nil && seen.lsn > st.Echo {
			p.Echoes = append(p.Echoes, catalog.StoreEcho{ID: st.ID, LSN: seen.lsn})
		}
	}
	if len(p.States) == 0 && !echo {
		p.Echoes = nil // they ride along, or wait
	}
	if echo {
		m.echoed = now
	}
	return p
}

// stateOf is the rule: silence is counted from the last report to this leader, or from
// the start of its term if there was none, and then only down is concluded.
func (m *monitor) stateOf(state vstack.StoreState, seen *sighting, now time.Time) vstack.StoreState {
	if seen == nil {
		if now.Sub(m.since) >= m.downAfter {
			return vstack.StoreDown
		}
		return state
	}
	switch silence := now.Sub(seen.at); {
	case silence >= m.downAfter:
		return vstack.StoreDown
	case silence >= m.suspectAfter:
		return vstack.StoreSuspect
	}
	return vstack.StoreUp
}

// silence is for how long this leader has missed a store while it listened; 0 when it
// stood still itself and judge has not seen that yet.
func (m *monitor) silence(l raftnode.Leadership, id vstack.StoreID, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.term != l.Term || now.Sub(m.ticked) > m.stall {
		return 0
	}
	if seen := m.stores[id]; seen != nil {
		return now.Sub(seen.at)
	}
	return now.Sub(m.since)
}

// amnesia collects the last reports of stores that are barred from groups.
func (m *monitor) amnesia() map[vstack.StoreID]reconfigure.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[vstack.StoreID]reconfigure.Report{}
	for id, s := range m.stores {
		if len(s.report.Amnesic) > 0 {
			out[id] = reconfigure.Report{Groups: s.report.Amnesic, At: s.at}
		}
	}
	return out
}

// echo is the highest LSN of a store that this leader knows of.
func (m *monitor) echo(id vstack.StoreID, committed vstack.LSN) vstack.LSN {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.stores[id]; s != nil {
		return max(committed, s.lsn)
	}
	return committed
}

// nodes groups stores by host, with what this member heard of them.
func (m *monitor) nodes(stores []catalog.Store) []wire.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	byHost := map[vstack.HostID]*wire.Node{}
	for _, st := range stores {
		n := byHost[st.Host]
		if n == nil {
			seen := m.hosts[st.Host]
			n = &wire.Node{Host: st.Host, State: vstack.StoreUp, LastSeen: seen.at.UTC(), Version: seen.version}
			byHost[st.Host] = n
		}
		ns := wire.NodeStore{Store: st.Store}
		if s := m.stores[st.ID]; s != nil {
			report := s.report
			ns.Report = &report
		}
		n.Stores = append(n.Stores, ns)
		n.State = worse(n.State, st.State)
	}
	out := make([]wire.Node, 0, len(byHost))
	for _, host := range slices.Sorted(maps.Keys(byHost)) {
		out = append(out, *byHost[host])
	}
	return out
}

func worse(a, b vstack.StoreState) vstack.StoreState {
	rank := func(s vstack.StoreState) int {
		return slices.Index([]vstack.StoreState{vstack.StoreUp, vstack.StoreSuspect, vstack.StoreDown}, s)
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// runMonitor is the leader's duty of judging stores.
func (s *Server) runMonitor(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		l, leads := s.node.Leading()
		if !leads {
			s.monitor.forget()
			continue
		}
		p := s.monitor.judge(l, s.catalog.View().Stores(), time.Now())
		if len(p.States) == 0 && len(p.Echoes) == 0 {
			continue
		}
		for _, t := range p.States {
			s.cfg.Logger.Info("store changes state", "store", t.ID, "to", t.State)
		}
		pctx, cancel := context.WithTimeout(ctx, proposeTimeout)
		// What fails is judged again at the next tick.
		if _, err := s.propose(pctx, catalog.SetLiveness, p, ""); err != nil {
			s.cfg.Logger.Warn("commit the stores' states", "err", err)
		}
		cancel()
	}
}
