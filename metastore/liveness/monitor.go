package liveness

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// Config has the times of a judgement.
type Config struct {
	// SuspectAfter and DownAfter are a store's silence before it is suspect and down.
	SuspectAfter, DownAfter time.Duration
	// EchoEvery is how often the highest LSNs of stores are committed.
	EchoEvery time.Duration
	// Tick is how often Judge is called.
	Tick time.Duration
}

// Monitor is the leader's memory of heartbeats. It is empty on a follower, and begins
// anew with each term.
type Monitor struct {
	cfg Config
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
	at      time.Time
	report  wire.StoreReport
	level   vstack.Level
	lsn     vstack.LSN // highest of this term
	process process
	claims  reconfigure.Claims // of the report
}

type hostSighting struct {
	at      time.Time
	version string
	level   vstack.Level
}

// New makes a monitor without a memory.
func New(cfg Config) *Monitor {
	return &Monitor{cfg: cfg, stall: max(4*cfg.Tick, time.Second)}
}

// lead begins a term's memory, or keeps it.
func (m *Monitor) lead(term uint64, now time.Time) {
	if m.term == term {
		return
	}
	m.term, m.since, m.ticked, m.echoed = term, now, now, now
	m.stores = map[vstack.StoreID]*sighting{}
	m.hosts = map[vstack.HostID]hostSighting{}
}

// Forget drops the memory of a leader that is one no more.
func (m *Monitor) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term, m.stores, m.hosts = 0, nil, nil
}

// Record takes a heartbeat of registered stores.
func (m *Monitor) Record(term uint64, hb wire.Heartbeat, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lead(term, now)
	m.hosts[hb.Host] = hostSighting{now, hb.Version, hb.Level}
	for _, r := range hb.Stores {
		s := m.stores[r.ID]
		if s == nil {
			s = &sighting{}
			m.stores[r.ID] = s
		}
		s.at, s.report, s.level, s.lsn = now, r, hb.Level.OrFirst(), max(s.lsn, r.LSN)
		if s.process.newer(r.Started, hb.Seq, hb.Level >= vstack.LevelManifests) {
			s.claims = claimsOf(r)
		}
	}
}

// Judge compares what was heard with what is committed.
func (m *Monitor) Judge(term uint64, stores []catalog.Store, now time.Time) (p command.SetLivenessPayload) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lead(term, now)
	if gap := now.Sub(m.ticked); gap > m.stall {
		// This process was paused or starved: it heard nobody because it did not listen.
		m.since = m.since.Add(gap)
		for _, s := range m.stores {
			s.at = s.at.Add(gap)
		}
	}
	m.ticked = now
	echo := now.Sub(m.echoed) >= m.cfg.EchoEvery
	for _, st := range stores {
		seen := m.stores[st.ID]
		if state := m.stateOf(st.State, seen, now); state != st.State {
			p.States = append(p.States, command.StoreLiveness{ID: st.ID, State: state})
		}
		if seen != nil && seen.lsn > st.Echo {
			p.Echoes = append(p.Echoes, command.StoreEcho{ID: st.ID, LSN: seen.lsn})
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
func (m *Monitor) stateOf(state vstack.StoreState, seen *sighting, now time.Time) vstack.StoreState {
	if seen == nil {
		if now.Sub(m.since) >= m.cfg.DownAfter {
			return vstack.StoreDown
		}
		return state
	}
	switch silence := now.Sub(seen.at); {
	case silence >= m.cfg.DownAfter:
		return vstack.StoreDown
	case silence >= m.cfg.SuspectAfter:
		return vstack.StoreSuspect
	}
	return vstack.StoreUp
}

// Silence is for how long this leader has missed a store while it listened; 0 when it
// stood still itself and Judge has not seen that yet.
func (m *Monitor) Silence(term uint64, id vstack.StoreID, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.term != term || now.Sub(m.ticked) > m.stall {
		return 0
	}
	if seen := m.stores[id]; seen != nil {
		return now.Sub(seen.at)
	}
	return now.Sub(m.since)
}

// Amnesia collects the last reports of stores that are barred from groups.
func (m *Monitor) Amnesia() map[vstack.StoreID]reconfigure.Report {
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

// Level is the newest feature level that a store's program knows; false for one that this
// leader has not heard.
func (m *Monitor) Level(id vstack.StoreID) (vstack.Level, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.stores[id]; s != nil {
		return s.level, true
	}
	return vstack.LevelFirst, false
}

// Echo is the highest LSN of a store that this leader knows of.
func (m *Monitor) Echo(id vstack.StoreID, committed vstack.LSN) vstack.LSN {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.stores[id]; s != nil {
		return max(committed, s.lsn)
	}
	return committed
}

// heard is as long as a leader hears of a store that is there, since hosts report each second:
// beyond that in a term, one that was up before may have died with the leader before.
const heard = 2500 * time.Millisecond

// shown is the state that people are told: a new leader concludes only after DownAfter that a
// store is down of which it has heard nothing, and must not say meanwhile that it is up.
func (m *Monitor) shown(st catalog.Store, now time.Time) vstack.StoreState {
	if m.term > 0 && m.stores[st.ID] == nil && st.State == vstack.StoreUp && now.Sub(m.since) > heard {
		return vstack.StoreSuspect
	}
	return st.State
}

// Nodes groups stores by host, with what this member heard of them.
func (m *Monitor) Nodes(stores []catalog.Store, now time.Time) []wire.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	byHost := map[vstack.HostID]*wire.Node{}
	for _, st := range stores {
		n := byHost[st.Host]
		if n == nil {
			seen := m.hosts[st.Host]
			n = &wire.Node{Host: st.Host, State: vstack.StoreUp, LastSeen: seen.at.UTC(), Version: seen.version, Level: seen.level}
			byHost[st.Host] = n
		}
		ns := wire.NodeStore{Store: st.Store}
		ns.State = m.shown(st, now)
		if s := m.stores[st.ID]; s != nil {
			report := s.report
			ns.Report = &report
		}
		n.Stores = append(n.Stores, ns)
		n.State = worse(n.State, ns.State)
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
