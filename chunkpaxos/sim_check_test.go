package chunkpaxos

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// checker watches a run as nobody in it can, and holds it to the invariants of the
// specification. The first violation ends the run.
type checker struct {
	w         *world
	violation string
	broken    string // the invariant's name
	only      string // if set, the only invariant that counts

	carried map[ballotOf]vstack.Value                  // one value per ballot
	owner   map[ballotOf]*simProc                      // round 0: by one process
	votes   map[ballotOf]map[vstack.StoreID]bool       // durable votes
	chosen  map[vstack.Slot]vstack.Value               // by a majority of durable votes
	last    map[vstack.StoreID]map[vstack.Slot]Durable // each store's highest durable vote
	floor   map[vstack.StoreID]map[vstack.Slot]vstack.Ballot
	minimum map[vstack.StoreID]vstack.Ballot

	commits, acks int // so that a run that does nothing is seen
}

type ballotOf struct {
	slot   vstack.Slot
	ballot vstack.Ballot
}

func newChecker(w *world) *checker {
	c := &checker{
		w: w, carried: map[ballotOf]vstack.Value{}, owner: map[ballotOf]*simProc{},
		votes: map[ballotOf]map[vstack.StoreID]bool{}, chosen: map[vstack.Slot]vstack.Value{},
		last: map[vstack.StoreID]map[vstack.Slot]Durable{}, floor: map[vstack.StoreID]map[vstack.Slot]vstack.Ballot{},
		minimum: map[vstack.StoreID]vstack.Ballot{},
	}
	for _, s := range testStores {
		c.last[s], c.floor[s] = map[vstack.Slot]Durable{}, map[vstack.Slot]vstack.Ballot{}
	}
	return c
}

func (c *checker) fail(invariant, format string, args ...any) {
	if c.only != "" && c.only != invariant {
		return
	}
	if c.violation == "" {
		c.broken = invariant
		c.violation = invariant + ": " + fmt.Sprintf(format, args...)
		c.w.tell("VIOLATION  %s", c.violation)
	}
}

// proposed sees an Accept leave its proposer.
func (c *checker) proposed(p *simProc, m Accept) {
	at := ballotOf{m.Slot, m.Ballot}
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
	if d.Kind != DurableVote {
		return
	}
	at := ballotOf{d.Slot, d.Ballot}
	if !s.bytes[d.Value.Chunk] {
		c.fail("no vote without bytes", "%s votes for %s in slot %d", s.name, c.w.value(d.Value), d.Slot.Seq)
	}
	before, voted := c.last[s.id][d.Slot]
	if voted && d.Ballot.Round == 0 && before.Value != d.Value {
		c.fail("round 0 only onto an empty slot", "%s held %s in slot %d, now %s at %s", s.name, c.w.value(before.Value), d.Slot.Seq, c.w.value(d.Value), c.w.ballot(d.Ballot))
	}
	if voted && d.Ballot.Less(before.Ballot) {
		c.fail("promises are monotone", "%s voted at %s in slot %d, now at %s", s.name, c.w.ballot(before.Ballot), d.Slot.Seq, c.w.ballot(d.Ballot))
	}
	if floor := maxBallot(c.floor[s.id][d.Slot], c.minimum[s.id]); d.Ballot.Less(floor) {
		c.fail("promises are monotone", "%s promised %s in slot %d, votes at %s", s.name, c.w.ballot(floor), d.Slot.Seq, c.w.ballot(d.Ballot))
	}
	c.last[s.id][d.Slot] = d
	if c.votes[at] == nil {
		c.votes[at] = map[vstack.StoreID]bool{}
	}
	c.votes[at][s.id] = true
	if len(c.votes[at]) >= vstack.Majority {
		if v, ok := c.chosen[d.Slot]; ok && v != d.Value {
			c.fail("agreement", "slot %d: %s was chosen, and now %s at %s", d.Slot.Seq, c.w.value(v), c.w.value(d.Value), c.w.ballot(d.Ballot))
		}
		c.chosen[d.Slot] = d.Value
	}
}

// responded sees an acceptor's answer before the network does.
func (c *checker) responded(s *simStore, r Reply) {
	voter := true
	switch r := r.(type) {
	case Accepted:
		c.acks++
		if d := c.last[s.id][r.Slot]; d.Ballot != r.Ballot || d.Value != r.Value {
			c.fail("acknowledged means durable", "%s acknowledges %s in slot %d, its disk has %s", s.name, c.w.value(r.Value), r.Slot.Seq, c.w.value(d.Value))
		}
		if floor := maxBallot(c.floor[s.id][r.Slot], c.minimum[s.id]); r.Ballot.Less(floor) {
			c.fail("promises are monotone", "%s promised %s in slot %d, acknowledges %s", s.name, c.w.ballot(floor), r.Slot.Seq, c.w.ballot(r.Ballot))
		}
		if !s.live {
			c.fail("a dead upload takes no vote", "%s acknowledges slot %d", s.name, r.Slot.Seq)
		}
		c.raise(s, r.Slot, r.Ballot)
	case Promise:
		if d := c.last[s.id][r.Slot]; d.Ballot != r.Accepted || d.Value != r.Value {
			c.fail("a promise tells the vote", "%s reports %s in slot %d, its disk has %s", s.name, c.w.value(r.Value), r.Slot.Seq, c.w.value(d.Value))
		}
		c.raise(s, r.Slot, r.Ballot)
	case UploadPromise:
		c.minimum[s.id] = maxBallot(c.minimum[s.id], r.Ballot)
		voter = len(r.Groups) > 0
	default:
		voter = false
	}
	if voter && s.forgetful {
		c.fail("no voter below its echo", "%s lost records and answers %s", s.name, c.w.describeReply(r))
	}
	if voter && s.failed {
		c.fail("nothing after an append error", "%s answers %s", s.name, c.w.describeReply(r))
	}
}

func (c *checker) raise(s *simStore, slot vstack.Slot, b vstack.Ballot) {
	c.floor[s.id][slot] = maxBallot(c.floor[s.id][slot], b)
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
			if s.id == id && (s.bytes[v.Chunk] || s.forgetful) {
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
		if !s.live && s.applied > 0 && st.Slots > 0 {
			c.fail("a dead upload leaves memory", "%s keeps %d slots", s.name, st.Slots)
		}
	}
}
