package permit

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/liveness"
	"github.com/vstack/vstack/metastore/placement"
	"github.com/vstack/vstack/metastore/reconfigure"
)

const (
	simGroups = 3 // with content; the others are nobody's
	simHosts  = 7 // of one store each
	// simGrace is readers' grace, and simDeposed how long a leader that was deposed may go on
	// answering: its lease, far below any grace.
	simGrace, simDeposed = 6 * time.Second, 2 * time.Second
	simDead              = 15 * time.Second
)

// mutant breaks one rule each, here or in Survey.
type mutant struct {
	rules
	oldReports  bool // what a target said of another epoch counts for the one in force
	laterDrop   bool // drops run after the next survey was told
	rowIndex    bool // a title is as good as a publish
	clocks      bool // a process is named by its host's clock alone
	forgetful   bool // a restart forgets the groups left
	unread      bool // a group that is being read is complete
	laggingEnd  bool // the end of a member's feed that is older than the view ends a read
	damagedHeld bool // a damaged chunk is a copy
	noFence     bool // a start does not wait for the catalog of its first answer
	acceptors   bool // W asks nobody but acceptors
	// wide breaks nothing: groups, which begin with five targets, are to have one for each fragment
	// of simScheme, and roles are shared out all the time.
	wide bool
}

// simScheme is that of every film: any 3 of 5 fragments, but for schedules that widen groups.
var simScheme = vstack.DefaultScheme

// has names a piece on a store's disk.
type has struct {
	chunk vstack.ChunkID
	piece vstack.Piece
}

func copyOf(chunk vstack.ChunkID) has { return has{chunk: chunk} }

// all are the pieces that there may be of a chunk.
func all(chunk vstack.ChunkID) []has {
	out := []has{copyOf(chunk)}
	for i := range uint8(simScheme.Total()) {
		out = append(out, has{chunk, vstack.Piece{Scheme: simScheme, I: i}})
	}
	return out
}

func compareHas(a, b has) int {
	return cmp.Or(slices.Compare(a.chunk[:], b.chunk[:]), cmp.Compare(a.piece.K, b.piece.K), cmp.Compare(a.piece.I, b.piece.I))
}

// ref is one slot and its chunk.
type ref struct {
	slot  vstack.Slot
	chunk vstack.ChunkID
}

type film struct {
	refs       []ref
	class      vstack.StorageClass
	row        uint64 // index of the last change of any kind
	classIndex uint64
}

// scheme is what the film's references carry.
func (f *film) scheme() vstack.Scheme {
	if f.class == vstack.ClassHot {
		return vstack.Scheme{}
	}
	return simScheme
}

// desire is what a store must hold of a chunk of the film in a group.
func (f *film) desire(g vstack.PGTargets, id vstack.StoreID) Desire {
	i := g.Index(id)
	return DesireOf(f.class, f.scheme(), i, g.Fragment(max(i, 0)))
}

// state is the catalog at one index; it never changes once another follows it.
type state struct {
	index  uint64
	films  map[vstack.VideoID]film
	m      vstack.PlacementMap // of simGroups groups, as the planner takes it
	padded *vstack.PlacementMap
}

// leader is a leader of one term, and what it heard.
type leader struct {
	term    uint64
	monitor *liveness.Monitor
	planner *reconfigure.Planner
	deposed time.Time // when it was; zero for the one in force
	knows   *state    // the catalog that a deposed one has
}

// node is one store.
type node struct {
	id      vstack.StoreID
	host    vstack.HostID
	up      bool
	lost    bool                      // the disk is gone for good
	cut     bool                      // from every leader
	deaf    bool                      // no member answers its feed
	disk    map[has]bool              // false for a damaged one
	voted   map[vstack.ChunkID]uint64 // until the view has reached the index of the publish
	known   Groups
	member  Groups    // known, and not forgotten but by the rule
	started time.Time // names the process
	seq     uint64
	view    simView
	fence   uint64 // index of the first answer; 0 before
	free    map[has]time.Time
	plan    []has // of the pass before, for laterDrop
	claims  []wire.GroupClaim
	answer  Answer
	told    time.Time
}

// simView is what a process has read of the catalog.
type simView struct {
	at      *state // nil before the first page
	reading Groups
	stale   *state // of the mutant laggingEnd: what the groups of behind are taken from
	behind  Groups
	lying   bool // of the mutant unread
}

func (v *simView) Placement() *vstack.PlacementMap {
	if v.at == nil {
		return nil
	}
	return v.at.padded
}

func (v *simView) Complete(pg vstack.PG) uint64 {
	if v.at == nil || v.reading[pg] && !v.lying {
		return 0
	}
	return v.at.index
}

// beat is a heartbeat on its way; reply is its answer on the way back.
type beat struct {
	from *node
	to   *leader
	hb   wire.Heartbeat
}

type reply struct {
	to      *node
	started time.Time
	seq     uint64
	index   uint64
	answer  Answer
}

// world is a cluster of some stores and one schedule of what happens to it.
type world struct {
	rnd     *rand.Rand
	back    *rand.Rand // when clocks are set back
	m       mutant
	now     time.Time
	history []*state
	nodes   []*node
	lead    *leader
	old     []*leader
	beats   []beat
	replies []reply
	next    byte // chunks and videos made so far
	stores  byte
	// base is the most stores that a chunk could lose before it was unreadable, up to three,
	// and hurt how many failed since its targets last had all of it.
	base, hurt map[vstack.ChunkID]int
	slow       int           // one fetch in so many succeeds
	fresh      time.Duration // how old an answer may be; the rule holds without a bound, too
	lie        error         // a claim that was not true when it was told
	drops      int
	epochs     int
}

// slots has some slots of each group, by the hash that is part of the format.
var slots = func() (out [simGroups][]vstack.Slot) {
	for seq := uint32(1); len(out[0]) < 40 || len(out[1]) < 40 || len(out[2]) < 40; seq++ {
		s := vstack.Slot{Track: 1, Seq: seq}
		if pg := s.PG(); pg < simGroups {
			out[pg] = append(out[pg], s)
		}
	}
	return out
}()

func newWorld(seed uint64, m mutant) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 1)), back: rand.New(rand.NewPCG(seed, 2)), m: m, now: time.Unix(1000, 0), base: map[vstack.ChunkID]int{}, hurt: map[vstack.ChunkID]int{}}
	w.slow = []int{1, 3, 30}[w.rnd.IntN(3)]
	w.fresh = []time.Duration{4 * time.Second, time.Hour}[w.rnd.IntN(2)]
	first := &state{index: 1, films: map[vstack.VideoID]film{}}
	var stores []placement.Store
	for h := range simHosts {
		n := w.store(vstack.HostID(fmt.Sprintf("h%d", h)))
		first.m.Stores = append(first.m.Stores, vstack.Store{ID: n.id, Host: n.host, State: vstack.StoreUp})
		stores = append(stores, placement.Store{ID: n.id, Host: n.host})
	}
	plan, err := placement.Plan(stores)
	if err != nil {
		panic(err)
	}
	for pg := range simGroups {
		first.m.Groups = append(first.m.Groups, vstack.PGTargets{Epoch: 1, Targets: plan[pg]})
	}
	first.m.Version = 1
	if m.wide {
		first.m.Targets = simScheme.Total()
	}
	w.history = []*state{first}
	first.pad()
	w.elect()
	for _, n := range w.nodes {
		w.poll(n, first)
	}
	return w
}

// store makes an empty store.
func (w *world) store(host vstack.HostID) *node {
	w.stores++
	n := &node{id: vstack.StoreID{w.stores, 9}, host: host, disk: map[has]bool{}, voted: map[vstack.ChunkID]uint64{}}
	w.nodes = append(w.nodes, n)
	w.start(n)
	return n
}

// name is what names a store's next process. Now and then its host's clock was set back by then.
func (w *world) name(n *node) time.Time {
	clock := w.now
	if w.back.IntN(4) == 0 {
		clock = clock.Add(-time.Hour)
	}
	if w.m.clocks {
		return clock
	}
	return wire.NextStart(n.started, clock)
}

// start begins a process over what is on the disk.
func (w *world) start(n *node) {
	w.now = w.now.Add(time.Millisecond) // no two processes begin at once
	n.up, n.started, n.seq, n.fence = true, w.name(n), 0, 0
	n.view, n.free, n.claims, n.answer, n.plan = simView{lying: w.m.unread}, map[has]time.Time{}, nil, Answer{}, nil
	n.view.at = nil
	if w.m.forgetful {
		n.known = Groups{}
	}
}

func (s *state) pad() {
	p := s.m
	p.Groups = make([]vstack.PGTargets, vstack.PlacementGroups)
	copy(p.Groups, s.m.Groups)
	s.padded = &p
}

func (w *world) state() *state { return w.history[len(w.history)-1] }

// commit makes the next state of the catalog.
func (w *world) commit(change func(s *state)) {
	old := w.state()
	s := &state{index: old.index + 1, films: maps.Clone(old.films), m: old.m}
	s.m.Groups, s.m.Stores = slices.Clone(old.m.Groups), slices.Clone(old.m.Stores)
	change(s)
	s.m.Version = s.index
	s.pad()
	w.history = append(w.history, s)
}

func (w *world) elect() {
	term := uint64(1)
	if w.lead != nil {
		term = w.lead.term + 1
		w.lead.deposed, w.lead.knows = w.now, w.state()
		w.old = append(w.old, w.lead)
	}
	w.lead = &leader{term: term,
		monitor: liveness.New(liveness.Config{SuspectAfter: 3 * time.Second, DownAfter: 8 * time.Second, EchoEvery: time.Hour, Tick: time.Hour}),
		planner: reconfigure.New(reconfigure.Config{Window: simGroups, AttemptTime: 10 * time.Second})}
}

// decide is what a leader decides from.
func (w *world) decide(l *leader) reconfigure.State {
	s := w.state()
	if l.knows != nil {
		s = l.knows
	}
	var all [vstack.PlacementGroups]bool
	for pg := range all {
		all[pg] = true
	}
	st := reconfigure.State{Map: &s.m, Claims: l.monitor.Claims(), Published: &all, Silent: map[vstack.StoreID]bool{}, Balance: w.m.wide, Now: w.now}
	for _, store := range s.m.Stores {
		if l.monitor.Silence(l.term, store.ID, w.now) >= 3*time.Second {
			st.Silent[store.ID] = true
		}
	}
	if w.m.oldReports {
		for id, claims := range st.Claims {
			st.Claims[id] = maps.Clone(claims)
			for pg, c := range claims {
				c.Epoch = s.m.Groups[pg].Epoch
				st.Claims[id][pg] = c
			}
		}
	}
	return st
}

// use is one reference to a chunk.
type use struct {
	pg vstack.PG
	f  film
}

// live lists the chunks of living films with what refers to them.
func (s *state) live() map[vstack.ChunkID][]use {
	out := map[vstack.ChunkID][]use{}
	for _, f := range s.films {
		for _, r := range f.refs {
			out[r.chunk] = append(out[r.chunk], use{r.slot.PG(), f})
		}
	}
	return out
}

func (w *world) node(id vstack.StoreID) *node {
	return w.nodes[slices.IndexFunc(w.nodes, func(n *node) bool { return n.id == id })]
}

// holder is what one store has of a chunk: a copy, and a set of fragments.
type holder struct {
	copied    bool
	fragments uint
}

// holders are the stores with something undamaged of a chunk that they hold for some of the
// groups, on disks that are not lost.
func (w *world) holders(id vstack.ChunkID, uses []use, counts func(*node) bool) (out []holder) {
	for _, s := range w.nodes {
		if s.lost || !counts(s) || !slices.ContainsFunc(uses, func(u use) bool { return s.member[u.pg] }) {
			continue
		}
		var h holder
		for _, p := range all(id) {
			switch {
			case !s.disk[p]:
			case p.piece.IsChunk():
				h.copied = true
			default:
				h.fragments |= 1 << p.piece.I
			}
		}
		if h.copied || h.fragments != 0 {
			out = append(out, h)
		}
	}
	return out
}

func anyNode(*node) bool { return true }

// readable reports whether holders without two of them have a copy or enough fragments.
func readable(holders []holder, without ...int) bool {
	fragments := uint(0)
	for i, h := range holders {
		if slices.Contains(without, i) {
			continue
		}
		if h.copied {
			return true
		}
		fragments |= h.fragments
	}
	return bits.OnesCount(fragments) >= int(simScheme.K)
}

// strength is how many stores, chosen worst, a chunk can lose until it is unreadable, up to
// three: as many as there are copies, and with all five fragments three, too.
func strength(h []holder) int {
	if !readable(h) {
		return 0
	}
	for i := range h {
		if !readable(h, i) {
			return 1
		}
	}
	for i := range h {
		for k := range i {
			if !readable(h, i, k) {
				return 2
			}
		}
	}
	return 3
}

// whole reports whether the targets of all groups that refer to a chunk have what they must.
func (w *world) whole(id vstack.ChunkID, uses []use) bool {
	for _, u := range uses {
		g := w.state().m.Groups[u.pg]
		for _, t := range g.Targets {
			want, n := u.f.desire(g, t), w.node(t)
			for _, p := range all(id) {
				if want.Wants(p.piece) && (n.lost || !n.disk[p]) {
					return false
				}
			}
		}
	}
	return true
}

// check is the promise: what did not fail is still there.
func (w *world) check() error {
	if w.lie != nil {
		return w.lie
	}
	for id, uses := range w.state().live() {
		if w.whole(id, uses) {
			w.hurt[id] = 0
		}
		good := strength(w.holders(id, uses, anyNode))
		w.base[id] = max(w.base[id], good)
		if good < w.base[id]-w.hurt[id] {
			return fmt.Errorf("chunk %d bears the loss of %d stores, of %d that it bore, and %d failed", id[0], good-1, w.base[id]-1, w.hurt[id])
		}
	}
	return nil
}

// verify is the other promise: what a store claims it has, of all that the catalog had at
// the index of its view.
func (w *world) verify(n *node) error {
	for _, c := range n.claims {
		for id, f := range n.view.at.films {
			for _, r := range f.refs {
				want := f.desire(n.view.at.m.Groups[r.slot.PG()], n.id)
				for _, p := range all(r.chunk) {
					if r.slot.PG() == c.PG && f.classIndex <= c.Complete && want.Wants(p.piece) && !n.disk[p] {
						return fmt.Errorf("store %d claims group %d through %d, and lacks %s of film %d of %d", n.id[0], c.PG, c.Complete, p.piece, id[0], f.classIndex)
					}
				}
			}
		}
	}
	return nil
}
