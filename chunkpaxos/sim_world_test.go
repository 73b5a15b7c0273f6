package chunkpaxos

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// world is one seeded run: a virtual clock, a network that loses, doubles and
// reorders, stores that crash and lose what they had not synced, a catalog, and
// processes that upload. Acceptor and Proposer in it are the real ones. The same
// plan gives the same run, event for event.
type world struct {
	plan   plan
	rnd    *rand.Rand
	now    time.Duration
	queue  events
	seq    int
	steps  int
	sent   int // messages handed to the network, both ways
	stores []*simStore
	procs  []*simProc
	cat    *simCatalog
	check  *checker
	story  *strings.Builder // nil: nobody reads it
	names  map[vstack.ProposerID]string
	values map[vstack.ChunkID]string
	cuts   map[[2]string]time.Duration // from, to: no message passes until then
	faults faultCounts
	moved  int // epochs activated
	all    []vstack.Slot
}

// plan says what a run is made of. Probabilities are out of 1,000.
type plan struct {
	seed                    uint64
	slots                   int
	contenders              int // classic proposers with other values
	resumes                 int // how often a second process takes over
	readers                 int
	abort                   bool // the upload ends half-way
	loss, duplicate, silent int  // silent: of what is lost, how much is lost without a word
	crashes, wipes, eio     int  // how many
	diskFull, noBytes       int
	samecontent             int  // chance that a second process brings the same bytes
	moves                   int  // epoch changes of the placement group of slot 1
	driverDies              int  // chance that a driver dies; the next attempt is another's
	onegroup                bool // all slots are of one placement group
	cuts, pauses            int  // links cut one way or both; processes stopped for a while
	stale                   int  // chance that a heartbeat does not come, so that the echo lags
	delay                   func(*rand.Rand) time.Duration
	fate                    func(line string) bool // golden traces: false loses a message
	mutant                  mutant
}

// mutant breaks one rule of the protocol. Each must be caught.
type mutant struct {
	acceptor acceptorMutant
	proposer proposerMutant
	driver   driverMutant
	shared   bool // the catalog issues one incarnation and owner to two processes
	twice    bool // two processes drive one attempt at an epoch
}

// randomPlan draws a plan: every seed switches on another mixture of faults.
func randomPlan(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	some := func(max int) int {
		if r.IntN(2) == 0 {
			return 0
		}
		return r.IntN(max + 1)
	}
	slow := r.IntN(3) == 0
	p := plan{
		seed: seed, slots: 1 + r.IntN(maxSimSlots), contenders: r.IntN(3), resumes: r.IntN(3), readers: some(2), abort: r.IntN(8) == 0,
		loss: some(300), duplicate: some(300), silent: r.IntN(1001),
		crashes: some(4), wipes: some(1), eio: some(1), diskFull: some(50), noBytes: some(300), samecontent: some(1000),
		delay: func(r *rand.Rand) time.Duration {
			if slow && r.IntN(8) == 0 {
				return time.Duration(r.Int64N(int64(80 * time.Millisecond)))
			}
			return 100*time.Microsecond + time.Duration(r.Int64N(int64(4*time.Millisecond)))
		},
	}
	p.moves, p.driverDies, p.onegroup = some(3), some(500), r.IntN(2) == 0
	p.cuts, p.pauses, p.stale = some(4), some(3), some(1000)
	return p
}

// faultCounts is what a run met, by kind.
type faultCounts [faultKinds]int

const (
	messageLost = iota
	messageDoubled
	linksCut
	processStopped
	storeCrashed
	appendError
	diskFull
	diskLost
	diskRolledBack
	bytesMissing
	heartbeatLost
	proposerDied
	driverDied
	faultKinds
)

var faultNames = [faultKinds]string{
	"messages lost", "messages doubled", "links cut", "processes stopped", "stores crashed", "append errors", "full disks",
	"disks lost", "disks rolled back", "bytes missing", "heartbeats lost", "proposers died", "drivers died",
}

type event struct {
	at  time.Duration
	seq int
	run func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any     { x := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return x }

var simVideo, simUploadID = vstack.VideoID(id(0x71)), vstack.UploadID(id(0x72))

func newWorld(p plan, story bool) *world {
	w := &world{
		plan: p, rnd: rand.New(rand.NewPCG(p.seed, 1)),
		names: map[vstack.ProposerID]string{}, values: map[vstack.ChunkID]string{}, cuts: map[[2]string]time.Duration{},
	}
	if story {
		w.story = &strings.Builder{}
	}
	w.check = newChecker(w)
	w.cat = newSimCatalog(w)
	stores := vstack.Acceptors
	if p.moves > 0 {
		stores++ // a spare
	}
	for i := range stores {
		s := &simStore{w: w, id: store(i), name: string(rune('A' + i)), bytes: map[vstack.ChunkID]bool{}}
		w.stores = append(w.stores, s)
	}
	w.cat.open()
	for _, s := range w.stores {
		s.boot()
	}
	return w
}

// run plays the whole plan and returns the first violation, or "".
func (w *world) run() string {
	w.populate()
	return w.play()
}

// play runs what was scheduled until nothing is under way.
func (w *world) play() string {
	for len(w.queue) > 0 && w.check.violation == "" {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		if w.steps++; w.steps > 100_000 {
			return "the run does not end"
		}
		e.run()
	}
	if w.check.violation == "" {
		w.check.end()
	}
	return w.check.violation
}

// populate schedules processes and faults.
func (w *world) populate() {
	p := w.plan
	first := w.newProc("P1", w.cat.upload, w.cat.upload.Owner, true)
	w.after(0, first.uploadAll)
	horizon := func() time.Duration { return time.Duration(w.rnd.Int64N(int64(150 * time.Millisecond))) }
	for i := range p.contenders {
		name := fmt.Sprintf("Q%d", i+1)
		w.after(horizon()/8, func() {
			q := w.newProc(name, w.cat.upload, vstack.ProposerID(id(0x40+byte(i))), false)
			q.uploadAll()
		})
	}
	for i := range p.resumes {
		name := fmt.Sprintf("P%d", i+2)
		w.after(horizon()/3, func() { w.resume(name, vstack.ProposerID(id(0x52+byte(i))), w.rnd.IntN(2) == 0) })
	}
	for range p.readers {
		w.after(horizon(), w.read)
	}
	for range p.crashes {
		s := w.stores[w.rnd.IntN(len(w.stores))]
		w.after(horizon()/2, func() { s.crash("crashes") })
	}
	for range p.wipes {
		s := w.stores[w.rnd.IntN(len(w.stores))]
		w.after(horizon()/4, func() { s.wipe(p.moves > 0 && w.rnd.IntN(2) == 0) })
	}
	for range p.eio {
		s := w.stores[w.rnd.IntN(len(w.stores))]
		w.after(horizon()/4, func() { s.failNext = true })
	}
	if p.abort {
		w.after(horizon()/2, w.cat.abort)
	}
	for range p.moves {
		w.after(horizon()/2, func() { w.cat.move(nil) })
	}
	for range p.cuts {
		w.after(horizon()/2, w.cut)
	}
	for range p.pauses {
		w.after(horizon()/2, w.pause)
	}
}

// resume lets a new process take the upload over; the old one may live on.
func (w *world) resume(name string, owner vstack.ProposerID, oldDies bool) {
	if w.cat.upload.State != vstack.UploadOpen {
		return
	}
	if oldDies {
		for _, p := range w.procs {
			if p.uploader {
				p.die(proposerDied)
			}
		}
	}
	if !w.plan.mutant.shared {
		w.cat.resume(name, owner)
	}
	w.newProc(name, w.cat.upload, w.cat.upload.Owner, true).takeOver()
}

// read asks every store for every slot and applies the learn rule.
func (w *world) read() {
	for _, slot := range w.slots() {
		reports := map[vstack.StoreID]message.Vote{}
		acceptors := w.cat.groups[slot.PG()].Acceptors
		for _, s := range w.stores {
			s.request(message.Query{Slot: slot}, false, 0, func(r message.Reply) {
				st, ok := r.(message.SlotState)
				if !ok {
					return
				}
				reports[s.id] = message.Vote{Slot: slot, Epoch: st.Epoch, Ballot: st.Accepted, Value: st.Value}
				if v, ok := message.ChosenOf(acceptors, reports); ok {
					w.check.learned(slot, v, "a reader")
				}
			})
		}
	}
}

// id makes a proposer's id of a name.
func (w *world) id(name string) vstack.ProposerID {
	p := vstack.ProposerID(id(name[0] + name[1]))
	w.names[p] = name
	return p
}

// slots are those of the upload; nobody changes the list.
func (w *world) slots() []vstack.Slot {
	if w.all == nil {
		of := anySlots
		if w.plan.onegroup {
			of = oneGroup
		}
		w.all = of()[:w.plan.slots]
	}
	return w.all
}

// The first slots of the video, and the first ones of slot 1's group. A group's slots
// are found by hashing, which is worth doing once.
var (
	anySlots = sync.OnceValue(func() []vstack.Slot { return firstSlots(false) })
	oneGroup = sync.OnceValue(func() []vstack.Slot { return firstSlots(true) })
)

func firstSlots(onegroup bool) []vstack.Slot {
	s := []vstack.Slot{{Video: simVideo, Seq: 1}}
	for seq := uint32(2); len(s) < maxSimSlots; seq++ {
		at := vstack.Slot{Video: simVideo, Seq: seq}
		if !onegroup || at.PG() == s[0].PG() {
			s = append(s, at)
		}
	}
	return s
}

const maxSimSlots = 3

func (w *world) after(d time.Duration, run func()) {
	w.seq++
	heap.Push(&w.queue, event{at: w.now + d, seq: w.seq, run: run})
}

func (w *world) chance(of1000 int) bool { return of1000 > 0 && w.rnd.IntN(1000) < of1000 }

// carry takes one message over the network: it may be lost, come late, or come twice.
// lost, if not nil, runs when the sender notices that it is gone.
func (w *world) carry(from, to string, describe func() string, arrive, lost func()) {
	w.sent++
	line := ""
	if w.story != nil {
		line = describe()
	}
	drop := w.chance(w.plan.loss) || w.isCut(from, to)
	if drop {
		w.faults[messageLost]++
	}
	if w.plan.fate != nil && !w.plan.fate(line) {
		drop = true
	}
	if drop {
		w.tell("%s — lost", line)
		if lost != nil && !w.chance(w.plan.silent) {
			w.after(w.plan.delay(w.rnd), lost)
		}
		return
	}
	deliver := func() { w.tell("%s", line); arrive() }
	w.after(w.plan.delay(w.rnd), deliver)
	if w.chance(w.plan.duplicate) {
		w.faults[messageDoubled]++
		w.after(w.plan.delay(w.rnd)*3, func() { w.tell("%s — again", line); arrive() })
	}
}

func (w *world) tell(format string, args ...any) {
	if w.story != nil {
		fmt.Fprintf(w.story, "%7.2fms  %s\n", float64(w.now)/float64(time.Millisecond), fmt.Sprintf(format, args...))
	}
}

// ballot, value and store names for the story.
func (w *world) ballot(b vstack.Ballot) string {
	if b.IsZero() {
		return "none"
	}
	name := w.names[b.Proposer]
	if name == "" {
		name = "?"
	}
	return fmt.Sprintf("%d.%d.%s", b.Incarnation, b.Round, name)
}

func (w *world) value(v vstack.Value) string {
	if v.IsZero() {
		return "nothing"
	}
	return w.values[v.Chunk]
}

func (w *world) storeName(s vstack.StoreID) string {
	i := slices.IndexFunc(w.stores, func(x *simStore) bool { return x.id == s })
	return w.stores[i].name
}

func (w *world) storeNames(ids []vstack.StoreID) string {
	var b strings.Builder
	for _, s := range ids {
		b.WriteString(w.storeName(s))
	}
	return b.String()
}
