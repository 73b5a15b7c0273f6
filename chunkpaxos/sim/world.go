package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxSteps and maxEvents bound a run, maxRun its virtual time.
	maxSteps  = 1200
	maxEvents = 20_000
	maxRun    = 3 * time.Second

	// hop is how long a message takes, flush how long a store takes to make an append
	// durable.
	hop   = time.Millisecond
	flush = 500 * time.Microsecond
)

// world is one run.
type world struct {
	script Script
	trace  *Trace
	rnd    *rand.Rand
	now    time.Duration
	queue  events
	seq    int
	upload vstack.Upload
	slots  []vstack.Slot
	stores []*store
	procs  []*proc
	ids    []vstack.StoreID
	names  map[vstack.ProposerID]string
	values map[vstack.ChunkID]string
	cuts   map[[2]string]time.Duration // until when nothing passes
	slow   map[string]Fault
	chosen map[vstack.Slot]vstack.Value // as the processes learned
	broken error                        // two of them learned different values
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

// Play runs a named scenario.
func Play(s Scenario) (*Trace, error) {
	t, err := Run(s.Script)
	if err != nil {
		return nil, err
	}
	t.Name, t.Title, t.About = s.Name, s.Title, s.About
	return t, nil
}

// Run plays a script.
func Run(s Script) (*Trace, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	w := newWorld(s)
	w.begin()
	for n := 0; len(w.queue) > 0; n++ {
		e := heap.Pop(&w.queue).(event)
		if e.at > maxRun || n > maxEvents || len(w.trace.Steps) >= maxSteps {
			w.trace.Cut = true
			break
		}
		w.now = e.at
		e.run()
	}
	if w.broken != nil {
		return nil, w.broken
	}
	for _, step := range w.trace.Steps {
		if step.Why != "" {
			w.trace.Quotes[step.Why] = quotes[step.Why]
		}
	}
	return w.trace, nil
}

func uuid(b byte) (u vstack.UUID) { u[15] = b; return u }

func newWorld(s Script) *world {
	s = s.listed()
	w := &world{
		script: s, rnd: rand.New(rand.NewPCG(1, 2)), names: map[vstack.ProposerID]string{}, values: map[vstack.ChunkID]string{},
		cuts: map[[2]string]time.Duration{}, slow: map[string]Fault{}, chosen: map[vstack.Slot]vstack.Value{},
		trace: &Trace{Script: s, Quotes: map[string]Quote{}, Messages: []Message{}},
		upload: vstack.Upload{
			ID: vstack.UploadID(uuid(0x72)), Video: vstack.VideoID(uuid(0x71)), State: vstack.UploadOpen, Incarnation: 1,
			Owner: vstack.ProposerID(uuid(0x51)), Index: 5,
		},
	}
	for i := range s.Slots {
		w.slots = append(w.slots, vstack.Slot{Video: w.upload.Video, Seq: uint32(i + 1)})
	}
	for _, name := range s.nodes() {
		kind := map[byte]string{'P': "uploader", 'Q': "contender"}[name[0]]
		if kind == "" {
			kind = "store"
			id := vstack.StoreID(uuid(0xa0 + name[0] - 'A'))
			w.ids = append(w.ids, id)
			w.stores = append(w.stores, &store{w: w, id: id, name: name, bytes: map[vstack.ChunkID]bool{}})
		}
		w.trace.Nodes = append(w.trace.Nodes, Node{name, kind})
	}
	return w
}

// begin schedules the script.
func (w *world) begin() {
	for _, s := range w.stores {
		s.boot()
	}
	for i := range w.script.Faults {
		f := w.script.Faults[i]
		w.after(ms(f.At), func() { w.fault(f) })
	}
	p := newProc(w, "P1", w.upload.Owner, true)
	for i := range w.slots {
		w.after(ms(w.script.Every)*time.Duration(i), func() { p.commit(w.slots[i], tries) })
	}
	for i, at := range w.script.Contenders {
		q := newProc(w, fmt.Sprintf("Q%d", i+1), vstack.ProposerID(uuid(0x40+byte(i))), false)
		for _, s := range w.slots {
			w.after(ms(at), func() { q.commit(s, tries) })
		}
	}
}

func ms(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }

func (w *world) after(d time.Duration, run func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + d, w.seq, run})
}

// fault breaks something.
func (w *world) fault(f Fault) {
	until := w.now + ms(f.For)
	if f.For == 0 {
		until = maxRun + 1
	}
	switch f.Kind {
	case Kill:
		w.kill(f)
	case Delay:
		w.tell("fault", "", fmt.Sprintf("network  messages of %s take %v longer%s", f.Node, ms(f.By), lasting(f)), "", nil)
		w.slow[f.Node] = f
		if f.For > 0 {
			w.after(until-w.now, func() {
				if w.slow[f.Node] == f {
					delete(w.slow, f.Node)
				}
			})
		}
	case Cut:
		other := f.With
		if other == "" {
			other = "everybody"
		}
		w.tell("fault", "", fmt.Sprintf("network  %s and %s are cut off from each other%s", f.Node, other, lasting(f)), "silence", nil)
		for _, n := range w.trace.Nodes {
			if n.Name != f.Node && (f.With == "" || f.With == n.Name) {
				for _, way := range [][2]string{{f.Node, n.Name}, {n.Name, f.Node}} {
					w.cuts[way] = max(w.cuts[way], until)
				}
			}
		}
	}
}

func lasting(f Fault) string {
	if f.For == 0 {
		return ", for good"
	}
	return fmt.Sprintf(" for %v", ms(f.For))
}

func (w *world) kill(f Fault) {
	for _, s := range w.stores {
		if s.name == f.Node && s.acc != nil {
			s.crash(f)
		}
	}
	for _, p := range w.procs {
		if p.name == f.Node && !p.dead {
			p.dead = true
			w.tell("kill", p.name, p.name+"  dies", "", nil)
		}
	}
}

// carry takes a message over the network. It is lost where the link is cut; refused runs
// where nobody listens any more.
func (w *world) carry(from, to, verb, text, why string, arrive func() bool, refused func()) {
	n := len(w.trace.Messages)
	w.trace.Messages = append(w.trace.Messages, Message{From: from, To: to, Verb: verb, Text: text, Sent: len(w.trace.Steps), Came: -1})
	line := fmt.Sprintf("%s → %s  %s", from, to, text)
	if w.cuts[[2]string{from, to}] > w.now {
		w.step(Step{Kind: "lost", Node: from, Message: n, Text: line + " — lost", Why: "silence"})
		return
	}
	w.step(Step{Kind: "send", Node: from, Message: n, Text: line, Why: why})
	w.after(hop+ms(w.slow[from].By)+ms(w.slow[to].By), func() {
		w.trace.Messages[n].Came = len(w.trace.Steps)
		at := len(w.trace.Steps)
		w.step(Step{Kind: "arrive", Node: to, Message: n, Text: line + " — arrives", Why: why})
		if arrive() {
			return
		}
		w.trace.Messages[n].Came = -1
		w.trace.Steps[at].Kind, w.trace.Steps[at].Text, w.trace.Steps[at].Why = "lost", line+" — nobody listens", "silence"
		if refused != nil {
			w.after(hop, refused)
		}
	})
}

func (w *world) step(s Step) {
	s.At = float64(w.now) / float64(time.Millisecond)
	w.trace.Steps = append(w.trace.Steps, s)
}

// tell notes a step that is about no message.
func (w *world) tell(kind, node, text, why string, state map[string]StoreState) {
	w.step(Step{Kind: kind, Node: node, Message: -1, Text: text, Why: why, State: state})
}

// learned holds what processes learn against each other: agreement.
func (w *world) learned(s vstack.Slot, v vstack.Value) {
	if was, ok := w.chosen[s]; ok && was != v {
		w.broken = fmt.Errorf("sim: slot %d is %s and %s: the protocol is broken", s.Seq, w.values[was.Chunk], w.values[v.Chunk])
	}
	w.chosen[s] = v
}

func (w *world) ballot(b vstack.Ballot) string {
	if b.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%d.%s", b.Incarnation, b.Round, w.names[b.Proposer])
}

func (w *world) value(v vstack.Value) string {
	if v.IsZero() {
		return ""
	}
	return w.values[v.Chunk]
}

func (w *world) describe(m message.Message, withBytes bool) (verb, text string) {
	switch m := m.(type) {
	case message.Accept:
		verb = "ACCEPT"
		if withBytes {
			verb = "PUT"
		}
		return verb, fmt.Sprintf("%s slot %d at %s: %s", verb, m.Slot.Seq, w.ballot(m.Ballot), w.value(m.Value))
	case message.Prepare:
		return "PREPARE", fmt.Sprintf("PREPARE slot %d at %s", m.Slot.Seq, w.ballot(m.Ballot))
	}
	return "OTHER", fmt.Sprintf("%T", m)
}

func (w *world) describeReply(r message.Reply) (verb, text string) {
	switch r := r.(type) {
	case message.Accepted:
		return "ACCEPTED", fmt.Sprintf("ACCEPTED slot %d at %s: %s", r.Slot.Seq, w.ballot(r.Ballot), w.value(r.Value))
	case message.Promise:
		text = fmt.Sprintf("PROMISE slot %d at %s; ", r.Slot.Seq, w.ballot(r.Ballot))
		if r.Accepted.IsZero() {
			return "PROMISE", text + "no vote yet"
		}
		return "PROMISE", text + fmt.Sprintf("voted %s at %s", w.value(r.Value), w.ballot(r.Accepted))
	case message.Nack:
		text = "NACK " + string(r.Reason.Code())
		if !r.Ballot.IsZero() {
			text += ", ballot " + w.ballot(r.Ballot)
		}
		if !r.Value.IsZero() {
			text += ", holds " + w.value(r.Value)
		}
		return "NACK", text
	}
	return "OTHER", fmt.Sprintf("%T", r)
}

func (w *world) storeNames(ids []vstack.StoreID) string {
	var out []string
	for _, id := range ids {
		i := slices.IndexFunc(w.stores, func(s *store) bool { return s.id == id })
		out = append(out, w.stores[i].name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// config is a proposer's, with a clock a hundred times as fast as the real one.
func (w *world) config(p *proc, s vstack.Slot) chunkpaxos.ProposerConfig {
	return chunkpaxos.ProposerConfig{
		Slot: s, Epoch: 1, Acceptors: w.ids, Upload: w.upload, Value: p.value(s), Proposer: p.id, Fast: p.uploader, After: p.used[s],
		Rand: rand.New(rand.NewPCG(w.rnd.Uint64(), 2)), PhaseTimeout: 25 * time.Millisecond, AwaitLast: 6 * time.Millisecond,
		BackoffMin: 2 * time.Millisecond, BackoffMax: 30 * time.Millisecond, MaxAttempts: 8,
	}
}
