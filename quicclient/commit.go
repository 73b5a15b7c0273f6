package quicclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/stores"
)

const (
	// epochPause bounds how long a Commit waits before it looks again whether its placement
	// group has moved: a twentieth of the time that it has waited already, so that looking
	// adds little to the wait and long waits cost the metastore little.
	epochPauseMin, epochPauseMax = 5 * time.Millisecond, 200 * time.Millisecond
	epochPausePart               = 20
	// maxEvents bounds the answers that wait for the proposer: every message that it
	// can send in all its attempts.
	maxEvents = maxAttempts * 2 * vstack.Acceptors
	// abandonAfter is how long a small message may run on when its answer counts no more;
	// smallBody is how large a chunk in it may be.
	abandonAfter = time.Second
	smallBody    = 64 << 10
	// maxAttempts bounds Config.CommitAttempts.
	maxAttempts = 64
)

// Committed is what became of one chunk.
type Committed struct {
	Value vstack.Value
	Acks  int   // stores known to hold the bytes durably, at least a majority
	Sent  int64 // bytes of bodies put on the wire
}

// ConflictError says that a slot holds another chunk, for ever. It is an
// ErrSlotConflict.
type ConflictError struct {
	Slot  vstack.Slot
	Value vstack.Value // what the slot holds
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("slot %s holds chunk %s of %d bytes: %v", e.Slot, e.Value.Chunk.Short(), e.Value.Size, vstack.ErrSlotConflict)
}

// Unwrap is ErrSlotConflict.
func (e *ConflictError) Unwrap() error { return vstack.ErrSlotConflict }

// Commit has data chosen for slot by its acceptors. When it returns without an error, a
// majority holds the verified bytes durably; the third copy was awaited a little, and a
// PUT that was late runs on for at most StragglerTimeout. For that reason data must not
// be changed after the call either.
//
// The first Commit of an incarnation asks every acceptor what it holds of the upload
// (one ranged prepare a store), which is what makes round 0 safe after a resume. A slot
// that this shows to be chosen costs no further message.
//
// Errors: *ConflictError with the chunk that was chosen instead; ErrFenced for an
// incarnation that was superseded; ErrUploadNotLive; ErrNoQuorum with each store's
// reason; ErrDiskFull; ErrEpochStale if the placement group changed its epoch for longer
// than EpochWait;
// ErrUnauthenticated or ErrForbidden without a host's certificate; ErrInvalid;
// ErrNotReady; ErrClosed; ctx's error. After ErrNoQuorum and the like the chunk may yet
// be chosen: calling again is safe, and the only way to know.
func (c *Client) Commit(ctx context.Context, up vstack.Upload, slot vstack.Slot, data []byte) (Committed, error) {
	return c.CommitValue(ctx, up, slot, vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}, nil, data)
}

// CommitValue is Commit for a caller that has named data already: it is not hashed once
// more. A name that is not data's is refused by every store, as HASH_MISMATCH. leaves is
// its table, if the caller has it: stores keep it and need not make it.
func (c *Client) CommitValue(ctx context.Context, up vstack.Upload, slot vstack.Slot, value vstack.Value, leaves vstack.LeafTable, data []byte) (Committed, error) {
	began := time.Now()
	ctx, span := tracing.Start(ctx, "commit chunk", attribute.Stringer("slot", slot), attribute.Int("bytes", len(data)))
	done, err := c.commit(ctx, up, slot, value, leaves, data)
	tracing.End(span, err)
	result := "ok"
	if err != nil {
		err = fmt.Errorf("commit slot %s: %w", slot, err)
		result = string(vstack.SentinelOf(err).Code())
	} else {
		c.metrics.commitSec.Observe(time.Since(began).Seconds())
	}
	c.metrics.commits.WithLabelValues(result).Inc()
	return done, err
}

// Forget ends an incarnation here, whatever became of it: no more is remembered of its
// ballots, and a later Commit or Chosen of it is ErrFenced. Commits under way go on.
func (c *Client) Forget(up vstack.Upload) { c.commits.forget(up) }

func (c *Client) commit(ctx context.Context, up vstack.Upload, slot vstack.Slot, value vstack.Value, leaves vstack.LeafTable, data []byte) (Committed, error) {
	if len(data) == 0 || len(data) > vstack.MaxChunkSize || slot.Video != up.Video || int(value.Size) != len(data) {
		return Committed{}, fmt.Errorf("%w: %d bytes for upload %s", vstack.ErrInvalid, len(data), up.ID)
	}
	m, err := c.pool.Placement(ctx)
	if err != nil {
		return Committed{}, err
	}
	st, err := c.commits.open(up)
	if err != nil {
		return Committed{}, err
	}
	defer c.commits.close(st)
	if err := st.lock(ctx, slot); err != nil {
		return Committed{}, err
	}
	defer st.unlock(slot)

	var sent int64
	var until time.Time // when to give up on epochs that end; zero while none did
	for {
		if err := st.surveyed(ctx, m); err != nil {
			return Committed{}, err
		}
		if v, ok := st.found(slot); ok {
			// The learn rule holds for ever, so there is nothing left to propose.
			if v != value {
				return Committed{Value: v, Acks: vstack.Majority, Sent: sent}, &ConflictError{Slot: slot, Value: v}
			}
			return Committed{Value: v, Acks: vstack.Majority, Sent: sent}, nil
		}
		group, _ := m.Group(slot)
		r := &round{c: c, targets: c.pool.Targets(m, group.Acceptors()), data: data, leaves: leaves, epoch: group.Epoch}
		done, err := r.propose(ctx, st, chunkpaxos.ProposerConfig{
			Slot: slot, Epoch: group.Epoch, Acceptors: group.Acceptors(), Upload: up, Value: value,
			Proposer: c.cfg.Proposer, Fast: st.fast(slot, group.Epoch), After: st.usedBallot(slot),
			Rand:         rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
			PhaseTimeout: c.cfg.PhaseTimeout, AwaitLast: c.cfg.AwaitLast, MaxAttempts: c.cfg.CommitAttempts,
		})
		sent += r.sent
		done.Sent = sent
		if err == nil || !r.between(err) {
			return done, err
		}
		if until.IsZero() {
			until = time.Now().Add(c.cfg.EpochWait)
		}
		newer, werr := c.follow(ctx, m, slot, r.ended, until)
		if werr != nil {
			return done, errors.Join(err, werr)
		}
		m = newer
	}
}

// follow returns the placement map to propose with after acceptors refused in m's epoch
// of the slot's group. One that has ended takes nothing any more, so with ended it waits
// for the next: a newer map alone may only say that one is being prepared.
func (c *Client) follow(ctx context.Context, m *vstack.PlacementMap, slot vstack.Slot, ended bool, until time.Time) (*vstack.PlacementMap, error) {
	old, _ := m.Group(slot)
	var last error // why there is no newer map
	for began := time.Now(); ; {
		newer, err := c.pool.Newer(ctx, m.Version)
		if last = err; err == nil {
			m = newer
		}
		group, _ := m.Group(slot)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case group.Epoch > old.Epoch:
			return m, nil
		case time.Now().After(until):
			return nil, errors.Join(fmt.Errorf("%w: epoch %d goes on for longer than %s", vstack.ErrEpochStale, old.Epoch, c.cfg.EpochWait), last)
		case !ended && err == nil:
			return m, nil
		case errors.Is(err, vstack.ErrClosed):
			return nil, err
		}
		pause := min(max(time.Since(began)/epochPausePart, epochPauseMin), epochPauseMax)
		if !sleep.For(ctx, pause/2+rand.N(pause)) {
			return nil, ctx.Err()
		}
	}
}

// round runs the effects of one Proposer.
type round struct {
	c       *Client
	targets []stores.Target
	data    []byte
	leaves  vstack.LeafTable // of data; nil if it is not known
	sent    int64            // bytes
	epoch   vstack.Epoch
	asked   context.Context // of the Commit, for its trace alone: messages may outlive it

	ended   bool // an acceptor is sealed, or beyond epoch
	waiting bool // an acceptor does not vote in epoch yet, or is barred from it

	events chan chunkpaxos.Event
	calls  map[chunkpaxos.Call]*call // that have no answer yet
}

// call is one message under way.
type call struct {
	cancel context.CancelFunc
	bytes  bool // it carries the chunk
	small  bool // of few bytes
	done   chan struct{}
}

// propose drives the step machine until it knows the slot's fate.
func (r *round) propose(ctx context.Context, st *uploadState, cfg chunkpaxos.ProposerConfig) (Committed, error) {
	p, err := chunkpaxos.NewProposer(cfg)
	if err != nil {
		return Committed{}, err
	}
	r.asked = ctx
	r.events = make(chan chunkpaxos.Event, maxEvents)
	r.calls = make(map[chunkpaxos.Call]*call)
	defer func() { st.use(cfg.Slot, p.Used()) }()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var token chunkpaxos.Token
	var event chunkpaxos.Event = chunkpaxos.Start{}
	for {
		for _, act := range p.Step(event) {
			switch act := act.(type) {
			case chunkpaxos.Send:
				// Before the message leaves: should this goroutine die with it under way, the
				// ballot still counts as used.
				st.use(cfg.Slot, act.Call.Ballot)
				r.send(act)
			case chunkpaxos.SetTimer:
				token = act.Token
				timer.Reset(act.After)
			case chunkpaxos.Chosen:
				r.leave(true)
				return Committed{Value: act.Value, Acks: len(act.Acks)}, nil
			case chunkpaxos.Conflict:
				r.leave(false)
				return Committed{Value: act.Value, Acks: len(act.Acks)}, &ConflictError{Slot: cfg.Slot, Value: act.Value}
			case chunkpaxos.Failed:
				r.leave(false)
				return Committed{}, act.Err
			}
		}
		select {
		case event = <-r.events:
			r.answered(event)
		case <-timer.C:
			event = chunkpaxos.Timeout{Token: token}
		case <-ctx.Done():
			r.leave(false)
			return Committed{}, ctx.Err()
		case <-r.c.pool.Context().Done():
			r.leave(false)
			return Committed{}, vstack.ErrClosed
		}
	}
}

// send carries a message out in a goroutine of its own. Messages of an earlier ballot
// or phase are given up: their answers count no more.
func (r *round) send(act chunkpaxos.Send) {
	for id, old := range r.calls {
		if id.Ballot != act.Call.Ballot || id.Accept != act.Call.Accept {
			old.abandon()
			delete(r.calls, id)
		}
	}
	fail := func(err error) { r.events <- chunkpaxos.Unreachable{Call: act.Call, Err: err} }
	var to *stores.Target
	for i := range r.targets {
		if r.targets[i].Store.ID == act.Call.To {
			to = &r.targets[i]
		}
	}
	if to == nil {
		fail(fmt.Errorf("%w: the placement map has no address for it", vstack.ErrUnavailable))
		return
	}
	ctx, cancel := context.WithCancel(tracing.Under(r.c.pool.Context(), r.asked))
	cl := &call{cancel: cancel, bytes: act.WithBytes, done: make(chan struct{})}
	var chunk []byte
	if act.WithBytes {
		chunk = r.data
		cl.small = len(chunk) <= smallBody
		r.sent += int64(len(chunk))
	}
	r.calls[act.Call] = cl
	events, peer, c := r.events, to.Peer, r.c
	started := r.c.pool.Spawn(func(context.Context) {
		defer close(cl.done)
		defer cancel()
		reply, err := c.ask(ctx, peer, act.Msg, chunk, r.leaves)
		if err != nil {
			events <- chunkpaxos.Unreachable{Call: act.Call, Err: err}
			return
		}
		events <- chunkpaxos.Answer{Call: act.Call, Reply: reply}
	})
	if !started {
		cancel()
		delete(r.calls, act.Call)
		fail(vstack.ErrClosed)
	}
}

// between reports whether a failure comes from a placement group between two epochs, or
// at the start of one, and asking again will help.
func (r *round) between(err error) bool {
	return r.ended && (errors.Is(err, vstack.ErrEpochStale) || errors.Is(err, vstack.ErrNotAcceptor) || errors.Is(err, vstack.ErrNoQuorum)) ||
		r.waiting && errors.Is(err, vstack.ErrNoQuorum)
}

// refused notes what a refusal says of the epoch.
func (r *round) refused(n message.Nack) {
	switch n.Reason {
	case vstack.ErrEpochStale, vstack.ErrNotAcceptor:
		r.ended = r.ended || n.Epoch >= r.epoch
		r.waiting = r.waiting || n.Epoch < r.epoch // it has not heard of it
	case vstack.ErrUnavailable:
		r.waiting = r.waiting || n.Epoch == r.epoch // the install is not there
	case vstack.ErrAmnesic:
		r.waiting = true
	}
}

// answered forgets the call that an event ends.
func (r *round) answered(e chunkpaxos.Event) {
	switch e := e.(type) {
	case chunkpaxos.Answer:
		delete(r.calls, e.Call)
		if n, ok := e.Reply.(message.Nack); ok {
			r.refused(n)
		}
	case chunkpaxos.Unreachable:
		delete(r.calls, e.Call)
	}
}

// leave gives up what has no answer yet, or, once the chunk is chosen, lets the PUTs of
// its last copies run on as far as the bounds allow.
func (r *round) leave(chosen bool) {
	for _, cl := range r.calls {
		if chosen && cl.bytes && r.c.commits.straggle(cl, int64(len(r.data))) {
			continue
		}
		cl.abandon()
	}
}

// abandon gives up a call whose answer counts no more. To end an HTTP/1.1 request is to
// end its connection, and the next message would pay for a handshake: what costs the
// network little may end by itself, soon.
func (cl *call) abandon() {
	if cl.bytes && !cl.small {
		cl.cancel()
		return
	}
	time.AfterFunc(abandonAfter, cl.cancel)
}
