package vote

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// Voter is one store's acceptor at work.
type Voter struct {
	cfg     Config
	guard   *guard
	votes   *votes
	metrics *metrics
	halted  chan struct{} // closed when the acceptor halts
	wake    chan struct{} // tells Run of loose appends
	bar     *bar
	// logged are the uploads that the log names as the process found it, until Begin.
	logged map[vstack.UploadID]struct{}

	mu       sync.Mutex // guards all below; held around Step, never over I/O
	acc      *chunkpaxos.Acceptor
	calls    map[chunkpaxos.Token]*call
	last     chunkpaxos.Token
	loose    []chunkpaxos.Append // that nobody waits for; at most a few a catalog page
	timers   map[chunkpaxos.Token]*time.Timer
	flushing bool       // loose appends are under way
	echo     vstack.LSN // highest that the catalog told
	echoed   bool
	// recovered is the log's last LSN as this process found it.
	recovered vstack.LSN
	// lacking says since when the store reports that a group's install is missing.
	lacking map[vstack.PG]time.Time
}

// call is one request under way. The acceptor has at most one effect outstanding for
// it, besides its answer.
type call struct {
	token chunkpaxos.Token
	data  []byte // verified bytes; nil without
	// leaves came with data, and nobody has checked it; nil without.
	leaves vstack.LeafTable
	buf    *serve.Buffer // holds data that the call found itself; nil without
	todo   chan chunkpaxos.Effect
	pins   []vstack.ChunkID
}

// New restores the acceptor from the log. Nothing is judged until Apply and Echo have
// brought the catalog.
func New(cfg Config) (*Voter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	id, recovered := cfg.Log.ID(), cfg.Log.LSN()
	acc, err := chunkpaxos.NewAcceptor(chunkpaxos.AcceptorConfig{Store: id, LSN: recovered, CatchUp: cfg.CatchUp})
	if err != nil {
		return nil, fmt.Errorf("acceptor of store %s: %w", id, err)
	}
	votes := newVotes()
	logged := map[vstack.UploadID]struct{}{}
	cfg.Log.State(func(r superblock.Record, lsn vstack.LSN) bool {
		d, ok := durableOf(r, lsn)
		if !ok {
			return true
		}
		acc.Restore(d)
		votes.name(d)
		if !d.Upload.IsZero() {
			logged[d.Upload] = struct{}{}
		}
		return true
	})
	v := &Voter{
		cfg: cfg, guard: newGuard(), votes: votes, acc: acc, recovered: recovered, logged: logged,
		halted: make(chan struct{}), wake: make(chan struct{}, 1), bar: newBar(),
		calls: map[chunkpaxos.Token]*call{}, timers: map[chunkpaxos.Token]*time.Timer{},
	}
	if v.metrics, err = newMetrics(cfg.Registry, id, v.stats); err != nil {
		return nil, err
	}
	return v, nil
}

// Run carries out what no request waits for, until ctx ends.
func (v *Voter) Run(ctx context.Context) error {
	defer v.bar.settle(vstack.ErrClosed) // for those who wait in vain
	for {
		select {
		case <-v.wake:
			v.appendLoose(ctx)
		case <-ctx.Done():
			return nil
		case <-v.halted:
			return nil
		}
	}
}

// Do has the acceptor judge msg. data are an Accept's bytes, verified, or nil; they
// are the Voter's until Do returns. It waits for the answer even when ctx ends first,
// for the wait is bounded and the outcome of an append must reach the acceptor.
func (v *Voter) Do(ctx context.Context, msg message.Message, data []byte, echo vstack.LSN) (message.Reply, error) {
	return v.do(ctx, msg, &call{data: data}, echo)
}

// do is Do for a call that has what came with msg.
func (v *Voter) do(ctx context.Context, msg message.Message, c *call, echo vstack.LSN) (message.Reply, error) {
	c.todo = make(chan chunkpaxos.Effect, 2)
	defer v.unpin(c)
	defer c.release()
	if m, ok := msg.(message.Accept); ok {
		v.pin(c, m.Value.Chunk)
	}
	v.mu.Lock()
	v.last++
	c.token = v.last
	v.calls[c.token] = c
	halt := v.dispatch(v.acc.Step(chunkpaxos.Request{Token: c.token, Msg: msg, HasBytes: c.data != nil, Echo: echo}))
	v.mu.Unlock()
	v.halt(halt)
	for {
		select {
		case e := <-c.todo:
			switch e := e.(type) {
			case chunkpaxos.Append:
				lsn, err := v.append(ctx, c, e)
				v.step(chunkpaxos.AppendDone{Token: c.token, LSN: lsn, Err: err})
			case chunkpaxos.FetchBytes:
				stored, err := v.fetch(ctx, c, e)
				v.step(chunkpaxos.BytesReady{Token: c.token, Stored: stored, Err: err})
			case chunkpaxos.Respond:
				return e.Reply, nil
			}
		case <-v.halted:
			return nil, fmt.Errorf("store %s has halted: %w", v.cfg.Log.ID(), vstack.ErrClosed)
		}
	}
}

// Apply brings a page of the catalog's feed; pages come in order, from one goroutine.
func (v *Voter) Apply(page feed.Page) {
	change := chunkpaxos.CatalogChange{Applied: page.Index, Uploads: page.Uploads, Groups: groupsOf(page.Placement)}
	for i := range page.Videos {
		if page.Videos[i].Ended() {
			change.Deleted = append(change.Deleted, page.Videos[i].ID)
		}
	}
	v.step(change)
}

// Echo brings what the catalog remembers of this store, from a heartbeat's answer.
func (v *Voter) Echo(lsn vstack.LSN, index uint64) {
	v.mu.Lock()
	v.echo, v.echoed = max(v.echo, lsn), true
	v.mu.Unlock()
	v.step(chunkpaxos.Echo{LSN: lsn, Current: v.cfg.Log.LSN(), Index: index})
}

// LSN is what a heartbeat may tell of the log. Until the first echo that is what this
// process found: the echo has to show what was lost before, whatever was written since.
func (v *Voter) LSN() vstack.LSN {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.echoed {
		return v.recovered
	}
	return v.cfg.Log.LSN()
}

// Votes reports whether the store would vote now, and if not, why.
func (v *Voter) Votes() (bool, string) {
	v.mu.Lock()
	echoed, stats := v.echoed, v.acc.Stats()
	v.mu.Unlock()
	switch {
	case !echoed:
		return false, "the catalog has not answered a heartbeat yet"
	case stats.Applied == 0:
		return false, "the catalog has not been read yet"
	case stats.Amnesic > 0:
		return false, fmt.Sprintf("%d placement groups are barred until their epoch changes: this store may have forgotten votes", stats.Amnesic)
	}
	return true, ""
}

// Barred lists, in order, the placement groups that the store acts for and takes no part
// in until their epoch changes: it has forgotten votes, or nobody brought it the install
// with which the epoch began for as long as InstallWait. Only the reports of the store
// call it.
func (v *Voter) Barred(now time.Time) []vstack.PG {
	v.mu.Lock()
	defer v.mu.Unlock()
	barred, lacking := v.acc.Amnesic(), v.acc.Uninstalled()
	since := make(map[vstack.PG]time.Time, len(lacking))
	for _, pg := range lacking {
		first, known := v.lacking[pg]
		if !known {
			first = now
		}
		since[pg] = first
		if now.Sub(first) >= v.cfg.InstallWait {
			barred = append(barred, pg)
		}
	}
	v.lacking = since
	slices.Sort(barred)
	return slices.Compact(barred)
}

// step feeds one input and sees to its effects.
func (v *Voter) step(in chunkpaxos.Input) {
	v.mu.Lock()
	halt := v.dispatch(v.acc.Step(in))
	if v.acc.Settled() && len(v.loose) == 0 && !v.flushing {
		v.bar.settle(nil) // nothing had to be noted
	}
	v.mu.Unlock()
	v.halt(halt)
}

// dispatch hands effects to whoever carries them out. The caller holds mu, and calls
// halt with the answer afterwards.
func (v *Voter) dispatch(effects []chunkpaxos.Effect) (halt error) {
	for _, e := range effects {
		switch e := e.(type) {
		case chunkpaxos.Append:
			if e.Token == 0 {
				v.loose = append(v.loose, e)
				signal(v.wake)
				continue
			}
			v.calls[e.Token].todo <- e // buffered: one outstanding effect a call
		case chunkpaxos.FetchBytes:
			v.calls[e.Token].todo <- e
		case chunkpaxos.Respond:
			v.calls[e.Token].todo <- e
			delete(v.calls, e.Token)
			if t := v.timers[e.Token]; t != nil {
				t.Stop()
				delete(v.timers, e.Token)
			}
		case chunkpaxos.SetTimer:
			v.timers[e.Token] = time.AfterFunc(e.After, func() { v.step(chunkpaxos.Timeout{Token: e.Token}) })
		case chunkpaxos.Alarm:
			v.metrics.alarms.WithLabelValues(string(e.Reason.Code())).Inc()
			v.cfg.Logger.Error("ChunkPaxos alarm", "store", v.cfg.Log.ID(), "code", e.Reason.Code(), "detail", e.Detail)
		case chunkpaxos.Halt:
			halt = e.Err
		}
	}
	return halt
}

// halt ends the process, by way of Fatal. The acceptor halts once.
func (v *Voter) halt(err error) {
	if err != nil {
		close(v.halted)
		v.cfg.Fatal(fmt.Errorf("store %s: %w", v.cfg.Log.ID(), err))
	}
}

func (v *Voter) stats() chunkpaxos.Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.acc.Stats()
}

func (v *Voter) pin(c *call, id vstack.ChunkID) {
	v.guard.pin(id)
	c.pins = append(c.pins, id)
}

func (v *Voter) unpin(c *call) {
	for _, id := range c.pins {
		v.guard.unpin(id)
	}
}

// release gives back the memory of what the call found itself.
func (c *call) release() {
	if c.buf != nil {
		c.buf.Release()
		c.buf, c.data = nil, nil
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // a signal is waiting already
	}
}
