package chunkpaxos

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/vstack/vstack/chunkpaxos/epochchange"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// simCatalog is what Raft decides: the upload, its incarnations, the echoes, and the
// configuration of each placement group.
type simCatalog struct {
	w        *world
	index    uint64
	upload   vstack.Upload
	echo     map[vstack.StoreID]vstack.LSN
	groups   map[vstack.PG]Group // in force
	changed  map[vstack.PG]uint64
	next     map[vstack.PG]Group // PREPARING: the attempt that may be activated
	attempts uint32
}

func newSimCatalog(w *world) *simCatalog {
	c := &simCatalog{
		w: w, echo: map[vstack.StoreID]vstack.LSN{}, groups: map[vstack.PG]Group{},
		changed: map[vstack.PG]uint64{}, next: map[vstack.PG]Group{},
	}
	for _, s := range w.slots() {
		c.groups[s.PG()] = Group{PG: s.PG(), Epoch: 1, Acceptors: testStores}
	}
	return c
}

func (c *simCatalog) open() {
	owner := vstack.ProposerID(id(0x51))
	c.index = 5
	c.upload = vstack.Upload{
		ID: simUploadID, Video: simVideo, State: vstack.UploadOpen, Incarnation: simFirst, Owner: owner, Index: c.index,
	}
	c.w.names[owner] = "P1"
	c.w.tell("catalog  upload opens with incarnation 1, owned by P1")
}

func (c *simCatalog) resume(name string, owner vstack.ProposerID) {
	c.index++
	c.w.names[owner] = name
	c.upload.Incarnation, c.upload.Owner, c.upload.Index = c.upload.Incarnation+1, owner, c.index
	c.w.tell("catalog  upload is resumed with incarnation %d, owned by %s", c.upload.Incarnation, name)
	c.feed()
}

func (c *simCatalog) abort() {
	c.index++
	c.upload.State, c.upload.Index = vstack.UploadAborted, c.index
	c.w.tell("catalog  upload is aborted")
	c.feed()
}

// move begins an epoch change of slot 1's group: towards the acceptors given, or with
// one of them replaced by the spare, or with the same ones.
func (c *simCatalog) move(to []vstack.StoreID) {
	pg := c.w.slots()[0].PG()
	from := c.groups[pg]
	if to == nil {
		to = slices.Clone(from.Acceptors)
		if i := c.w.rnd.IntN(len(to) + 1); i < len(to) {
			for _, s := range c.w.stores {
				if !slices.Contains(to, s.id) && !s.gone {
					to[i] = s.id
					break
				}
			}
		}
	}
	c.index++
	c.attempts++
	g := Group{PG: pg, Epoch: from.Epoch + 1, Acceptors: to, Attempt: c.attempts}
	c.next[pg] = g
	c.w.tell("catalog  PREPARING epoch %d on %s, attempt %d", g.Epoch, c.w.storeNames(to), g.Attempt)
	c.w.drive(from, g)
	if c.w.plan.mutant.twice {
		c.w.after(c.w.plan.delay(c.w.rnd), func() { c.w.drive(from, g) })
	}
}

// replace takes a store that is gone out of its group.
func (c *simCatalog) replace(gone vstack.StoreID) {
	g := c.groups[c.w.slots()[0].PG()]
	i := slices.Index(g.Acceptors, gone)
	if i < 0 {
		return
	}
	to := slices.Clone(g.Acceptors)
	for _, s := range c.w.stores {
		if !s.gone && !slices.Contains(to, s.id) {
			to[i] = s.id
			c.move(to)
			return
		}
	}
}

// activate is the master's whole rule: the last attempt that was issued, and no other.
func (c *simCatalog) activate(g Group) error {
	switch now := c.groups[g.PG]; {
	case now.Epoch == g.Epoch && now.Attempt == g.Attempt:
		return nil // proposed twice
	case now.Epoch+1 != g.Epoch || c.next[g.PG].Attempt != g.Attempt:
		return vstack.ErrEpochStale
	}
	c.index++
	c.w.moved++
	c.groups[g.PG], c.changed[g.PG] = g, c.index
	c.w.tell("catalog  ACTIVATE epoch %d, attempt %d", g.Epoch, g.Attempt)
	c.w.check.activated(g)
	c.feed()
	return nil
}

func (c *simCatalog) feed() {
	for _, s := range c.w.stores {
		c.feedTo(s, s.life)
	}
}

// feedTo sends the catalog of the moment to one store, in pages in the order of the
// last change of each object; an older page never follows a newer one.
func (c *simCatalog) feedTo(s *simStore, life int) {
	w := c.w
	pages := []CatalogChange{{Applied: c.upload.Index, Uploads: []vstack.Upload{c.upload}}}
	var same CatalogChange // groups that never changed: index 0
	for _, pg := range slices.Sorted(maps.Keys(c.groups)) {
		if c.changed[pg] == 0 {
			same.Groups = append(same.Groups, c.groups[pg])
			continue
		}
		pages = append(pages, CatalogChange{Applied: c.changed[pg], Groups: []Group{c.groups[pg]}})
	}
	if len(same.Groups) > 0 {
		pages = append(pages, same)
	}
	slices.SortFunc(pages, func(x, y CatalogChange) int { return cmp.Compare(x.Applied, y.Applied) })
	if c.w.plan.moves == 0 || w.rnd.IntN(2) == 0 { // all of it in one page
		var whole CatalogChange
		for _, p := range pages {
			whole.Groups, whole.Uploads = append(whole.Groups, p.Groups...), append(whole.Uploads, p.Uploads...)
		}
		pages = []CatalogChange{whole}
	}
	pages[len(pages)-1].Applied = c.index
	w.after(w.plan.delay(w.rnd), func() { c.deliver(s, life, pages) })
}

func (c *simCatalog) deliver(s *simStore, life int, pages []CatalogChange) {
	w := c.w
	if s.life != life || s.acc == nil {
		return
	}
	if d := max(s.stopped-w.now, w.cuts[[2]string{"catalog", s.name}]-w.now); d > 0 {
		w.after(d+time.Millisecond, func() { c.deliver(s, life, pages) })
		return
	}
	if page := pages[0]; page.Applied >= s.applied {
		s.applied = page.Applied
		for _, up := range page.Uploads {
			s.live = up.State == vstack.UploadOpen
		}
		s.step(page)
	}
	if len(pages) > 1 {
		w.after(w.plan.delay(w.rnd)*2, func() { c.deliver(s, life, pages[1:]) })
	}
}

// driverMutant breaks one rule of the driver each, from outside.
type driverMutant struct {
	sealOne bool // one sealed acceptor counts as a majority
	lowest  bool // the lowest ballot's value is installed
}

// config is one attempt as a driver is told of it.
func (m driverMutant) config(from, to Group) epochchange.Config {
	c := epochchange.Config{PG: from.PG, Epoch: from.Epoch, Old: from.Acceptors, New: to.Acceptors, Attempt: to.Attempt}
	if m.sealOne {
		i := int(to.Attempt) % len(c.Old)
		c.Old = c.Old[i : i+1]
	}
	return c
}

// reply is what the driver hears of an answer.
func (m driverMutant) reply(r message.Reply) message.Reply {
	s, ok := r.(message.Sealed)
	if !m.lowest || !ok {
		return r
	}
	s.Votes = slices.Clone(s.Votes)
	for i, v := range s.Votes { // the other way round
		s.Votes[i].Epoch = s.Epoch + 1 - v.Epoch
		s.Votes[i].Ballot = vstack.Ballot{Incarnation: ^v.Ballot.Incarnation, Round: ^v.Ballot.Round}
		for k, b := range v.Ballot.Proposer {
			s.Votes[i].Ballot.Proposer[k] = ^b
		}
	}
	return s
}

// drive runs a Reconfigurer in a process of its own.
func (w *world) drive(from, to Group) {
	p := w.newProc("R"+string(rune('0'+to.Attempt)), w.cat.upload, vstack.ProposerID(id(0x60+byte(to.Attempt))), false)
	cfg := w.plan.mutant.driver.config(from, to)
	cfg.Page, cfg.RetryMin, cfg.RetryMax, cfg.MaxTries = 1, 4*time.Millisecond, 40*time.Millisecond, 12
	r, err := epochchange.New(cfg)
	if err != nil {
		panic(err)
	}
	if w.chance(w.plan.driverDies) {
		w.after(w.plan.delay(w.rnd)*4, func() { p.die(driverDied) })
	}
	p.open++
	p.reconfigure(r, to, r.Step(epochchange.Start{}))
}

func (p *simProc) reconfigure(r *epochchange.Reconfigurer, to Group, actions []epochchange.Action) {
	w := p.w
	step := func(e epochchange.Event) func() {
		return p.running(func() { p.reconfigure(r, to, r.Step(e)) })
	}
	for _, a := range actions {
		switch a := a.(type) {
		case epochchange.Send:
			ended := false // by its answer, by the network or by the deadline
			end := func(e epochchange.Event) {
				if !ended {
					ended = true
					step(e)()
				}
			}
			p.send(a.Call.To, a.Msg, false,
				func(m message.Reply) {
					end(epochchange.Answer{Call: a.Call, Reply: w.plan.mutant.driver.reply(m)})
				},
				func() { end(epochchange.Unreachable{Call: a.Call, Err: vstack.ErrUnavailable}) })
			w.after(25*time.Millisecond, func() { end(epochchange.Unreachable{Call: a.Call, Err: vstack.ErrTimeout}) })
		case epochchange.SetTimer:
			w.after(a.After, step(epochchange.Timeout{Token: a.Token}))
		case epochchange.Activate:
			w.after(w.plan.delay(w.rnd), func() {
				if p.dead {
					return
				}
				err := w.cat.activate(to)
				w.after(w.plan.delay(w.rnd), step(epochchange.Activated{Err: err}))
			})
		case epochchange.Reconfigured:
			p.open--
			w.tell("%s  is done: %s have the install", p.name, w.storeNames(a.Installed))
		case epochchange.Failed:
			p.open--
			w.tell("%s  gives up: %s", p.name, vstack.SentinelOf(a.Err).Code())
		}
	}
}

// running wraps a process's event so that it is lost once the process is dead, and
// waits while the process is stopped.
func (p *simProc) running(f func()) func() {
	var run func()
	run = func() {
		switch {
		case p.dead:
		case p.stopped > p.w.now:
			p.w.after(p.stopped-p.w.now, run)
		default:
			f()
		}
	}
	return run
}

// cut parts one host from some of the others for a while, one way or both.
func (w *world) cut() {
	names := []string{"catalog"}
	for _, s := range w.stores {
		names = append(names, s.name)
	}
	for _, p := range w.procs {
		names = append(names, p.name)
	}
	victim, until := names[w.rnd.IntN(len(names))], w.now+time.Duration(w.rnd.Int64N(int64(60*time.Millisecond)))
	way := w.rnd.IntN(3)
	w.faults[linksCut]++
	for _, peer := range names {
		if peer == victim || w.rnd.IntN(3) == 0 {
			continue
		}
		if way != 0 {
			w.cuts[[2]string{victim, peer}] = until
		}
		if way != 1 {
			w.cuts[[2]string{peer, victim}] = until
		}
	}
	w.tell("network  %s is cut off %s", victim, []string{"inwards", "outwards", "both ways"}[way])
}

func (w *world) isCut(from, to string) bool { return w.cuts[[2]string{from, to}] > w.now }

// pause stops a process as SIGSTOP does: what arrives waits, timers too.
func (w *world) pause() {
	until := w.now + time.Duration(w.rnd.Int64N(int64(60*time.Millisecond)))
	i := w.rnd.IntN(len(w.stores) + len(w.procs))
	w.faults[processStopped]++
	if i < len(w.stores) {
		w.stores[i].stopped = until
		w.tell("%s  is stopped", w.stores[i].name)
		return
	}
	w.procs[i-len(w.stores)].stopped = until
	w.tell("%s  is stopped", w.procs[i-len(w.stores)].name)
}
