package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// brought takes bytes that came, in their attempt's goroutine: leaves that are complete
// are proven, and what is proven from the start is handed on.
func (e *Engine) brought(a *attempt, lo, hi int64) {
	if a.piece.row >= 0 {
		return // they count when the row can be joined
	}
	check, whole := a.c.ledger.add(lo, hi, a)
	e.prove(a.c, check)
	if whole {
		e.proveWhole(a.c)
	}
}

// learn takes the table that a store sent along.
func (e *Engine) learn(a *attempt, header string) {
	c := a.c
	var check []int
	err := error(nil)
	if header != "" {
		var table vstack.LeafTable
		if table, err = vstack.ParseLeafTable(header, c.req.Ref.Size); err == nil {
			check, err = c.ledger.learn(table)
		}
	}
	e.mu.Lock()
	c.tables--
	a.table = false
	if err != nil && !c.fresh {
		c.fresh = true // whoever is asked next makes it anew
		e.cfg.Logger.Warn("a leaf table does not match the manifest", "slot", c.req.Slot, "chunk", c.req.Ref.ID, "store", a.peer.ID, "error", err)
	}
	e.mu.Unlock()
	e.prove(c, check)
}

// prove hashes complete leaves, outside every lock.
func (e *Engine) prove(c *chunk, leaves []int) {
	for _, leaf := range leaves {
		if err := c.ledger.verify(leaf); err != nil {
			e.disproved(c, leaf)
			continue
		}
		head, all, liars := c.ledger.prove(leaf)
		for _, a := range liars {
			e.lied(a, leaf)
		}
		c.advance(head)
		if all {
			e.mu.Lock()
			c.end(nil)
			e.mu.Unlock()
		}
	}
}

// disproved has a leaf that did not match read again, from one store.
func (e *Engine) disproved(c *chunk, leaf int) {
	lo, hi, by := c.ledger.dispute(leaf)
	if by != nil {
		e.lied(by, leaf)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.over {
		return
	}
	if c.req.Rows != nil {
		c.end(fmt.Errorf("read slot %s: a joined row does not match its leaves: %w", c.req.Slot, vstack.ErrHashMismatch))
		return
	}
	c.insert(c.copy(lo, hi, true))
	e.Wake()
}

// lied names a store whose bytes contradict a proven table.
func (e *Engine) lied(a *attempt, leaf int) {
	now := e.cfg.Pool.Now()
	a.peer.Failed()
	a.peer.Eject(now, 0)
	e.cfg.Counters.Attempt("corrupt")
	e.cfg.Logger.Warn("a store sent wrong bytes", "slot", a.c.req.Slot, "chunk", a.c.req.Ref.ID, "leaf", leaf, "store", a.peer.ID, "addr", a.peer.Addr)
	e.mu.Lock()
	defer e.mu.Unlock()
	a.c.accuse(a, liar(leaf))
}

// accuse notes who lied, and asks it for nothing more of the chunk; the lock is held.
func (c *chunk) accuse(a *attempt, err error) {
	if !slices.Contains(c.liars, a.peer.ID) {
		c.liars = append(c.liars, a.peer.ID)
	}
	c.blame(a, err)
	for _, p := range c.pieces {
		for _, o := range p.attempts {
			if o.peer == a.peer {
				o.cancel()
			}
		}
	}
}

// blame notes that a store failed for this chunk; the lock is held.
func (c *chunk) blame(a *attempt, err error) {
	if !c.failed[a.peer.ID] {
		c.failed[a.peer.ID] = true
		c.errs = append(c.errs, StoreError{Store: a.peer.ID, Addr: a.peer.Addr, Proto: a.proto, Err: err})
	}
}

// proveWhole hashes a chunk of which no table is known. If it is another one and several
// stores brought it, nobody knows who lied: then each is asked for all of it.
func (e *Engine) proveWhole(c *chunk) {
	sole, err := c.ledger.whole()
	if err == nil {
		c.advance(int64(c.req.Ref.Size))
		e.mu.Lock()
		c.end(nil)
		e.mu.Unlock()
		return
	}
	if sole != nil {
		now := e.cfg.Pool.Now()
		sole.peer.Failed()
		sole.peer.Eject(now, 0)
		e.cfg.Counters.Attempt("corrupt")
	} else {
		e.cfg.Logger.Warn("parts of several stores do not hash to their chunk", "slot", c.req.Slot, "chunk", c.req.Ref.ID, "error", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.over {
		return
	}
	if sole != nil {
		c.accuse(sole, err)
	}
	c.single = true
	c.ledger.reset()
	if c.req.Rows != nil {
		c.end(fmt.Errorf("read slot %s: joined rows do not hash to their chunk: %w", c.req.Slot, vstack.ErrHashMismatch))
		return
	}
	c.pieces = []*piece{c.copy(0, int64(c.req.Ref.Size), true)}
	e.Wake()
}

// finished takes an attempt's outcome.
func (e *Engine) finished(a *attempt, err error) {
	defer e.Wake()
	p, c := a.piece, a.c
	at, end := a.share.state()
	if at < end && err == nil {
		err = fmt.Errorf("%w: the answer ended early", vstack.ErrInternal) // cannot be: read wants all
	}
	if at >= end {
		err = nil
	}
	e.account(a, err)
	join := false
	e.mu.Lock()
	p.attempts = slices.DeleteFunc(p.attempts, func(o *attempt) bool { return o == a })
	c.running--
	if a.table { // its answer never came
		c.tables--
	}
	if c.ttfb == 0 {
		c.ttfb = a.ttfb
	}
	switch {
	case c.over:
		c.reclaim()
	case err != nil:
		e.failed(a, err)
	case p.row < 0:
		c.drop(p)
	case !p.complete[a.peer]:
		p.complete[a.peer] = true
		if join = len(p.complete) == p.need(); join {
			c.drop(p)
		}
	}
	e.mu.Unlock()
	if join {
		e.join(a)
	}
}

// failed keeps what an attempt brought and leaves the rest to others; the lock is held.
func (e *Engine) failed(a *attempt, err error) {
	p, c := a.piece, a.c
	if !errors.Is(err, context.Canceled) {
		c.blame(a, err)
	}
	if held := (*HeldError)(nil); c.req.Local && p.row < 0 && errors.As(err, &held) {
		// It lies in fragments: to ask the others for copies, too, would only take time.
		c.end(&ReadError{Slot: c.req.Slot, Chunk: c.req.Ref.ID, Stores: c.errs})
		return
	}
	if p.row < 0 && p.whole && len(p.attempts) == 0 && slices.Contains(c.pieces, p) {
		// Another store has to bring all of it: what this one brought does not count.
		lo := a.from
		_, hi := p.copies.state()
		c.ledger.forget(lo, hi)
		c.pieces = slices.DeleteFunc(c.pieces, func(o *piece) bool { return o == p })
		c.insert(c.copy(lo, hi, true))
	}
}

// join makes a row's bytes of its shares.
func (e *Engine) join(a *attempt) {
	p, c := a.piece, a.c
	shares := map[int][]byte{}
	for i, t := range c.req.Targets {
		if p.complete[t.Peer] {
			shares[i] = p.shares[t.Peer].buf
		}
	}
	lo := p.offset()
	hi := lo + c.req.Rows.List[p.row].Size
	if err := c.req.Rows.Join(p.row, shares, c.buf[lo:hi]); err != nil {
		e.giveUp(c, fmt.Errorf("read slot %s: join row %d: %w", c.req.Slot, p.row, err))
		return
	}
	check, whole := c.ledger.add(lo, hi, a)
	e.prove(c, check)
	if whole {
		e.proveWhole(c)
	}
}

// account tells the store's meter how the attempt went.
func (e *Engine) account(a *attempt, err error) {
	result := "failed"
	now := e.cfg.Pool.Now()
	switch {
	case err == nil:
		result = "ok"
		if a.used > 0 {
			a.peer.Succeeded(1)
		} else {
			result = "lost"
		}
	case errors.Is(err, context.Canceled):
		// It lost, or nobody waits any more. A store that kept silent while another
		// delivered everything is as good as one that failed.
		result = "lost"
		sig := a.peer.Signals(now, vstack.Store{})
		if patience := sig.Patience(); sig.Silence > patience && now-time.Duration(a.progress.Load()) > patience && !sig.Ejected {
			a.peer.Failed()
			a.peer.Eject(now, a.peer.Packets())
			a.peer.Doubt(now)
		}
	case errors.Is(err, vstack.ErrNotFound):
		a.peer.Failed() // but it is an answer, and a prompt one
	default:
		a.peer.Failed()
		a.peer.Eject(now, 0)
	}
	e.cfg.Counters.Attempt(result)
}
