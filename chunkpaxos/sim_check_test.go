package chunkpaxos

import (
	"fmt"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// checker watches a run as nobody in it can, and holds it to the invariants of the
// specification. The first violation ends the run.
type checker struct {
	w         *world
	violation string
	broken    string // the invariant's name
	only      string // if set, the only invariant that counts

	carried map[ballotOf]vstack.Value            // one value per ballot
	owner   map[ballotOf]*simProc                // round 0: by one process
	votes   map[ballotOf]map[vstack.StoreID]bool // durable votes
	chosen  map[vstack.Slot]vstack.Value         // by a majority of durable votes
	last    map[vstack.StoreID]map[slotIn]Durable
	floor   map[vstack.StoreID]map[slotIn]vstack.Ballot
	minimum map[vstack.StoreID]map[groupEpoch]vstack.Ballot
	sealed  map[vstack.StoreID]map[vstack.PG]vstack.Epoch
	staged  map[vstack.StoreID]map[attemptOf]*stagedVotes
	active  map[groupEpoch]Group

	commits, acks int // so that a run that does nothing is seen

	rollbacks, byCatalog, unseen int  // of disks, and who told the store
	window                       bool // a store lost what no echo knows of
}

// ballots of different epochs are different ballots.
type ballotOf struct {
	slotIn
	ballot vstack.Ballot
}

type slotIn struct {
	slot  vstack.Slot
	epoch vstack.Epoch
}

// groupEpoch is a placement group in one of its epochs.
type groupEpoch struct {
	pg    vstack.PG
	epoch vstack.Epoch
}

type attemptOf struct {
	groupEpoch
	attempt uint32
}

type stagedVotes struct {
	complete bool
	votes    map[vstack.Slot]vstack.Value
}

func newChecker(w *world) *checker {
	c := &checker{
		w: w, carried: map[ballotOf]vstack.Value{}, owner: map[ballotOf]*simProc{},
		votes: map[ballotOf]map[vstack.StoreID]bool{}, chosen: map[vstack.Slot]vstack.Value{},
		active: map[groupEpoch]Group{},
	}
	c.last, c.floor = map[vstack.StoreID]map[slotIn]Durable{}, map[vstack.StoreID]map[slotIn]vstack.Ballot{}
	c.minimum, c.sealed = map[vstack.StoreID]map[groupEpoch]vstack.Ballot{}, map[vstack.StoreID]map[vstack.PG]vstack.Epoch{}
	c.staged = map[vstack.StoreID]map[attemptOf]*stagedVotes{}
	for i := range vstack.Acceptors + 1 {
		s := store(i)
		c.last[s], c.floor[s] = map[slotIn]Durable{}, map[slotIn]vstack.Ballot{}
		c.minimum[s], c.sealed[s] = map[groupEpoch]vstack.Ballot{}, map[vstack.PG]vstack.Epoch{}
		c.staged[s] = map[attemptOf]*stagedVotes{}
	}
	for _, s := range w.slots() {
		c.active[groupEpoch{s.PG(), 1}] = Group{PG: s.PG(), Epoch: 1, Acceptors: testStores}
	}
	return c
}

func (c *checker) fail(invariant, format string, args ...any) {
	if c.only != "" && c.only != invariant {
		return
	}
	if c.window && c.only == "" { // beyond what is promised: counted, and the run ends
		c.unseen = 1
		c.w.tell("IN THE WINDOW  %s: %s", invariant, fmt.Sprintf(format, args...))
		c.w.queue = nil
		return
	}
	if c.violation == "" {
		c.broken = invariant
		c.violation = invariant + ": " + fmt.Sprintf(format, args...)
		c.w.tell("VIOLATION  %s", c.violation)
	}
}

// proposed sees an Accept leave its proposer.
func (c *checker) proposed(p *simProc, m message.Accept) {
	at := ballotOf{slotIn{m.Slot, 0}, m.Ballot} // a proposer reuses none in another epoch either
	if v, ok := c.carried[at]; ok && v != m.Value {
		c.fail("one value per ballot", "slot %d at %s: %s and %s", m.Slot.Seq, c.w.ballot(m.Ballot), c.w.value(v), c.w.value(m.Value))
	}
	c.carried[at] = m.Value
	if m.Ballot.Round == 0 {
		if q, ok := c.owner[at]; ok && q != p {
			c.fail("round 0 by one process", "slot %d at %s: %s and %s", m.Slot.Seq, c.w.ballot(m.Ballot), q.name, p.name)
		}
		c.owner[at] = p
	}
}

// durable sees a record reach a store's disk, acknowledged or not.
func (c *checker) durable(s *simStore, d Durable) {
	switch d.Kind {
	case DurableVote, DurablePromise:
		if pg := d.Slot.PG(); d.Epoch <= c.sealed[s.id][pg] {
			c.fail("a sealed epoch is frozen", "%s sealed epoch %d and writes into epoch %d", s.name, c.sealed[s.id][pg], d.Epoch)
		}
		if d.Kind == DurableVote {
			c.vote(s, d)
		}
	case DurableSeal:
		c.sealed[s.id][d.PG] = max(c.sealed[s.id][d.PG], d.Epoch)
	case DurableInstall:
		at := attemptOf{groupEpoch{d.PG, d.Epoch}, d.Ballot.Round}
		st := c.staged[s.id][at]
		if st == nil {
			st = &stagedVotes{votes: map[vstack.Slot]vstack.Value{}}
			c.staged[s.id][at] = st
		}
		if d.Slot.Video.IsZero() {
			st.complete = true
			c.settle(c.active[at.groupEpoch])
			return
		}
		if !s.bytes[d.Value.Chunk] {
			c.fail("no vote without bytes", "%s stages %s in slot %d", s.name, c.w.value(d.Value), d.Slot.Seq)
		}
		st.votes[d.Slot] = d.Value
	}
}

// held is the vote of a store in an epoch, as its disk has it.
func (c *checker) held(s *simStore, at slotIn) (vstack.Ballot, vstack.Value) {
	if d, ok := c.last[s.id][at]; ok {
		return d.Ballot, d.Value
	}
	g := c.active[groupEpoch{at.slot.PG(), at.epoch}]
	if st := c.staged[s.id][attemptOf{groupEpoch{at.slot.PG(), at.epoch}, g.Attempt}]; st != nil && st.complete {
		if v, ok := st.votes[at.slot]; ok {
			return message.InstallBallot(g.Attempt), v
		}
	}
	return vstack.Ballot{}, vstack.Value{}
}

func (c *checker) vote(s *simStore, d Durable) {
	in := slotIn{d.Slot, d.Epoch}
	at := ballotOf{in, d.Ballot}
	if !s.bytes[d.Value.Chunk] {
		c.fail("no vote without bytes", "%s votes for %s in slot %d", s.name, c.w.value(d.Value), d.Slot.Seq)
	}
	before, value := c.held(s, in)
	if !before.IsZero() && d.Ballot.Round == 0 && value != d.Value {
		c.fail("round 0 only onto an empty slot", "%s held %s in slot %d, now %s at %s", s.name, c.w.value(value), d.Slot.Seq, c.w.value(d.Value), c.w.ballot(d.Ballot))
	}
	if d.Ballot.Less(before) {
		c.fail("promises are monotone", "%s voted at %s in slot %d, now at %s", s.name, c.w.ballot(before), d.Slot.Seq, c.w.ballot(d.Ballot))
	}
	if floor := c.floorOf(s, in); d.Ballot.Less(floor) {
		c.fail("promises are monotone", "%s promised %s in slot %d, votes at %s", s.name, c.w.ballot(floor), d.Slot.Seq, c.w.ballot(d.Ballot))
	}
	g, ok := c.active[groupEpoch{d.Slot.PG(), d.Epoch}]
	if !ok {
		c.fail("one active epoch", "%s votes in epoch %d, which is not active", s.name, d.Epoch)
	}
	if st := c.staged[s.id][attemptOf{groupEpoch{g.PG, g.Epoch}, g.Attempt}]; g.Attempt > 0 && (st == nil || !st.complete) {
		c.fail("a new epoch votes only with its install", "%s votes in epoch %d", s.name, d.Epoch)
	}
	c.last[s.id][in] = d
	c.count(at, s.id, d.Value)
}

func (c *checker) floorOf(s *simStore, at slotIn) vstack.Ballot {
	return maxBallot(c.floor[s.id][at], c.minimum[s.id][groupEpoch{at.slot.PG(), at.epoch}])
}

// count adds one durable vote; a majority of an active epoch's acceptors chooses.
func (c *checker) count(at ballotOf, s vstack.StoreID, v vstack.Value) {
	if c.votes[at] == nil {
		c.votes[at] = map[vstack.StoreID]bool{}
	}
	c.votes[at][s] = true
	n := 0
	for _, id := range c.active[groupEpoch{at.slot.PG(), at.epoch}].Acceptors {
		if c.votes[at][id] {
			n++
		}
	}
	if n < vstack.Majority {
		return
	}
	if w, ok := c.chosen[at.slot]; ok && v != w {
		c.fail("agreement", "slot %d: %s was chosen, and now %s in epoch %d at %s", at.slot.Seq, c.w.value(w), c.w.value(v), at.epoch, c.w.ballot(at.ballot))
	}
	c.chosen[at.slot] = v
}

// activated sees the catalog begin an epoch: what its attempt installed counts.
func (c *checker) activated(g Group) {
	c.active[groupEpoch{g.PG, g.Epoch}] = g
	c.settle(g)
}

func (c *checker) settle(g Group) {
	if g.Attempt == 0 {
		return
	}
	ge := groupEpoch{g.PG, g.Epoch}
	for _, id := range g.Acceptors {
		if st := c.staged[id][attemptOf{ge, g.Attempt}]; st != nil && st.complete {
			for _, slot := range c.w.slots() {
				if v, ok := st.votes[slot]; ok {
					c.count(ballotOf{slotIn{slot, g.Epoch}, message.InstallBallot(g.Attempt)}, id, v)
				}
			}
		}
	}
}

// responded sees an acceptor's answer before the network does.
func (c *checker) responded(s *simStore, r message.Reply) {
	var speaks []groupEpoch // for which the answer is a vote or a promise
	switch r := r.(type) {
	case message.Accepted:
		c.acks++
		in, ok := c.heldAt(s, r.Slot, r.Ballot, r.Value)
		if !ok {
			c.fail("acknowledged means durable", "%s acknowledges %s at %s in slot %d, its disk has not", s.name, c.w.value(r.Value), c.w.ballot(r.Ballot), r.Slot.Seq)
		}
		if floor := c.floorOf(s, in); r.Ballot.Less(floor) {
			c.fail("promises are monotone", "%s promised %s in slot %d, acknowledges %s", s.name, c.w.ballot(floor), r.Slot.Seq, c.w.ballot(r.Ballot))
		}
		if !s.live {
			c.fail("a dead upload takes no vote", "%s acknowledges slot %d", s.name, r.Slot.Seq)
		}
		c.raise(s, in, r.Ballot)
		speaks = append(speaks, groupEpoch{r.Slot.PG(), in.epoch})
	case message.Promise:
		in := slotIn{r.Slot, r.Epoch}
		if b, v := c.held(s, in); b != r.Accepted || v != r.Value {
			c.fail("a promise tells the vote", "%s reports %s in slot %d, its disk has %s", s.name, c.w.value(r.Value), r.Slot.Seq, c.w.value(v))
		}
		c.raise(s, in, r.Ballot)
		speaks = append(speaks, groupEpoch{r.Slot.PG(), r.Epoch})
	case message.UploadPromise:
		for _, g := range r.Groups {
			in := groupEpoch{g.PG, g.Epoch}
			c.minimum[s.id][in] = maxBallot(c.minimum[s.id][in], r.Ballot)
			speaks = append(speaks, in)
		}
	case message.Sealed:
		if c.sealed[s.id][r.PG] < r.Epoch {
			c.fail("a sealed epoch is frozen", "%s answers a seal of epoch %d that is not on disk", s.name, r.Epoch)
		}
		speaks = append(speaks, groupEpoch{r.PG, r.Epoch})
	}
	for _, g := range speaks {
		if s.told && g.epoch <= s.lost[g.pg] {
			c.fail("no voter below its echo", "%s lost records of epoch %d and answers %s", s.name, g.epoch, c.w.describeReply(r))
		}
	}
	if len(speaks) > 0 && s.failed {
		c.fail("nothing after an append error", "%s answers %s", s.name, c.w.describeReply(r))
	}
}

// heldAt finds the epoch in which a store's disk has a vote, newest first.
func (c *checker) heldAt(s *simStore, slot vstack.Slot, b vstack.Ballot, v vstack.Value) (slotIn, bool) {
	for e := c.w.cat.groups[slot.PG()].Epoch; e > 0; e-- {
		in := slotIn{slot, e}
		if hb, hv := c.held(s, in); hb == b && hv == v {
			return in, true
		}
	}
	return slotIn{}, false
}

func (c *checker) raise(s *simStore, at slotIn, b vstack.Ballot) {
	c.floor[s.id][at] = maxBallot(c.floor[s.id][at], b)
}

// rolledBack sees a disk lose records. If the catalog has not heard of them the store
// may vote again until a peer tells it: the window of docs/chunkpaxos.md.
func (c *checker) rolledBack(s *simStore) {
	c.rollbacks++
	if c.w.cat.echo[s.id] > s.kept {
		c.byCatalog++
		return
	}
	c.window = true
}

// alarmed: an alarm is for what a correct peer never does.
func (c *checker) alarmed(s *simStore, a Alarm) {
	if a.Reason == vstack.ErrAmnesic && !s.forgetful {
		c.fail("no false alarm", "%s: %s", s.name, a.Detail)
	}
	if a.Reason == vstack.ErrInternal {
		c.fail("no false alarm", "%s: %s", s.name, a.Detail)
	}
}

// learned: what anybody believes to be chosen is chosen.
func (c *checker) learned(slot vstack.Slot, v vstack.Value, who string) {
	c.commits++
	if truth, ok := c.chosen[slot]; !ok || truth != v {
		c.fail("agreement", "%s learned %s for slot %d, chosen is %s", who, c.w.value(v), slot.Seq, c.w.value(truth))
	}
}

// copies: "acknowledged ⇒ ≥ 2 verified durable copies". A store that lost its disk
// since then had its copy when it answered, which responded checked.
func (c *checker) copies(slot vstack.Slot, v vstack.Value, acks []vstack.StoreID) {
	held := 0
	for _, id := range acks {
		for _, s := range c.w.stores {
			if s.id == id && (s.bytes[v.Chunk] || s.forgetful || s.gone) {
				held++
			}
		}
	}
	if held < vstack.Majority {
		c.fail("acknowledged means two copies", "slot %d: %d of %d stores hold %s", slot.Seq, held, len(acks), c.w.value(v))
	}
}

// end looks at what is left when nothing is under way any more.
func (c *checker) end() {
	for _, p := range c.w.procs {
		if !p.dead && p.open > 0 {
			c.fail("every proposal ends", "%s has %d that did not", p.name, p.open)
		}
	}
	for _, s := range c.w.stores {
		if s.acc == nil {
			continue
		}
		st := s.acc.Stats()
		if st.Requests+st.Parked+st.Busy > 0 {
			c.fail("every request is answered", "%s still holds %d", s.name, st.Requests)
		}
		if !s.live && s.applied >= c.w.cat.upload.Index && st.Slots > 0 {
			c.fail("a dead upload leaves memory", "%s keeps %d slots", s.name, st.Slots)
		}
	}
}
