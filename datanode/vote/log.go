package vote

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
)

// looseBatch bounds the records of one append that nobody waits for.
const looseBatch = 1024

// compareStep is how much of a stored chunk is compared at a time: whole blocks.
const compareStep = 4 * vstack.BlockSize

// append makes an acceptor's records durable for a call, its bytes with them.
func (v *Voter) append(ctx context.Context, c *call, e chunkpaxos.Append) (vstack.LSN, error) {
	if err := v.bar.wait(context.WithoutCancel(ctx), v.halted); err != nil {
		return 0, err
	}
	withBytes := e.WithBytes && !v.stored(ctx, c)
	lsn, err := v.appendOnce(ctx, c, e.Records, withBytes)
	if errors.Is(err, vstack.ErrBytesMissing) && !withBytes && c.data != nil {
		// The stored copy was found damaged since it was checked: the call's own is not.
		lsn, err = v.appendOnce(ctx, c, e.Records, true)
	}
	if err != nil {
		return 0, fmt.Errorf("append %d records to store %s: %w", len(e.Records), v.cfg.Log.ID(), err)
	}
	return lsn, nil
}

func (v *Voter) appendOnce(ctx context.Context, c *call, records []chunkpaxos.Durable, withBytes bool) (vstack.LSN, error) {
	recs := make([]superblock.Record, 0, len(records))
	for _, d := range records {
		rec := recordOf(d)
		v.votes.name(d)
		if d.Kind == chunkpaxos.DurableVote && withBytes {
			rec.Kind, rec.Data, rec.Leaves = superblock.KindChunk, c.data, c.leaves
		}
		recs = append(recs, rec)
	}
	ctx, span := tracing.Start(ctx, "append to superblock", attribute.Int("records", len(recs)), attribute.Bool("bytes", withBytes))
	// A client that hangs up must not leave the acceptor without an outcome.
	lsn, err := v.cfg.Log.Append(context.WithoutCancel(ctx), recs...)
	tracing.End(span, err)
	return lsn, err
}

// appendLoose makes durable what no request waits for. A full disk drops it: such
// records only free memory and space, and come again after a restart.
func (v *Voter) appendLoose(ctx context.Context) {
	v.mu.Lock()
	loose := v.loose
	v.loose, v.flushing = nil, true
	v.mu.Unlock()
	var recs []superblock.Record
	var failed error
	var above vstack.LSN
	flush := func() {
		if len(recs) == 0 {
			return
		}
		lsn, err := v.cfg.Log.AppendAbove(context.WithoutCancel(ctx), above, recs...)
		failed = errors.Join(failed, err)
		for _, r := range recs {
			if r.Kind == superblock.KindForget && err == nil {
				v.votes.forget(r.Upload)
			}
		}
		recs = recs[:0]
		if errors.Is(err, vstack.ErrDiskFull) || errors.Is(err, vstack.ErrClosed) {
			v.cfg.Logger.Warn("records of ended uploads are kept for now", "store", v.cfg.Log.ID(), "error", err)
		}
		v.step(chunkpaxos.AppendDone{LSN: lsn, Err: err})
	}
	for _, e := range loose {
		above = max(above, e.Above)
		for _, d := range e.Records {
			recs = append(recs, recordOf(d))
		}
		if len(recs) >= looseBatch {
			flush()
		}
	}
	flush()
	v.mu.Lock()
	v.flushing = false
	if failed != nil || v.acc.Settled() && len(v.loose) == 0 {
		v.bar.settle(failed)
	}
	v.mu.Unlock()
}

// fetch finds the bytes of e.Values here or at a peer. The slot of the first value
// names the peers.
func (v *Voter) fetch(ctx context.Context, c *call, e chunkpaxos.FetchBytes) (stored bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.FetchTimeout)
	defer cancel()
	for _, value := range e.Values {
		v.pin(c, value.Chunk)
	}
	if e.Store {
		if err := v.keep(ctx, e); err != nil {
			return false, err
		}
		return true, nil
	}
	// An Accept has one value; what a peer has of it goes into the vote's append.
	return v.find(ctx, c, e.Slot, e.Values[0])
}

// fetchWidth is how many chunks of an install are brought at once. Each waits for a peer and for
// the disk, and a page may name hundreds of a few KB; of large ones more would take the memory
// and the links of those who write.
const fetchWidth = 4

// keep stores the chunks that an install votes for and that are not here. They are pinned.
func (v *Voter) keep(ctx context.Context, e chunkpaxos.FetchBytes) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchWidth)
	seen := make(map[vstack.ChunkID]struct{}, len(e.Values))
	for _, value := range e.Values {
		_, again := seen[value.Chunk]
		seen[value.Chunk] = struct{}{}
		if again || v.vouched(value) {
			continue
		}
		g.Go(func() error { return v.keepOne(ctx, e.Slot, value) })
	}
	return g.Wait()
}

func (v *Voter) keepOne(ctx context.Context, slot vstack.Slot, value vstack.Value) error {
	var c call // holds the bytes
	defer c.release()
	here, err := v.find(ctx, &c, slot, value)
	if err != nil || here {
		return err
	}
	if err := v.bar.wait(context.WithoutCancel(ctx), v.halted); err != nil {
		return err
	}
	rec := superblock.Record{Kind: superblock.KindChunk, Value: value, Data: c.data, Leaves: vstack.LeavesOf(c.data)}
	if _, err := v.cfg.Log.Append(context.WithoutCancel(ctx), rec); err != nil {
		return fmt.Errorf("keep chunk %s: %w", value.Chunk.Short(), err)
	}
	return nil
}

// vouched reports whether this store votes for the chunk already, in any epoch: a staged
// vote for it claims nothing new, and an epoch change need not read every open upload.
func (v *Voter) vouched(value vstack.Value) bool {
	info, ok := v.cfg.Log.Lookup(value.Chunk) // false for one that is known damaged
	return ok && info.Size == value.Size && v.votes.names(value.Chunk)
}

// ownKey is under which a store borrows memory for what it fetches itself.
const ownKey = admission.Key("this host")

// find brings a value's bytes into c.data, from the log or from a peer, in memory of
// the same budget as the bodies of PUTs; here tells that the log has them.
func (v *Voter) find(ctx context.Context, c *call, slot vstack.Slot, value vstack.Value) (here bool, err error) {
	c.release()
	c.leaves = nil
	if c.buf, err = v.cfg.Buffers.Get(ctx, ownKey, int(value.Size)); err != nil {
		return false, err
	}
	c.data = c.buf.Bytes
	if info, ok := v.cfg.Log.Lookup(value.Chunk); ok && info.Size == value.Size {
		if _, err := v.cfg.Log.ReadAt(ctx, value.Chunk, c.data, 0); err == nil {
			return true, nil
		}
	}
	data, err := v.cfg.Fetch(ctx, slot, value)
	if err != nil {
		return false, fmt.Errorf("fetch chunk %s for slot %s: %w: %w", value.Chunk.Short(), slot, vstack.ErrBytesMissing, err)
	}
	if len(data) != int(value.Size) || vstack.ChunkIDOf(data) != value.Chunk {
		return false, fmt.Errorf("fetch chunk %s for slot %s: %w: %d bytes", value.Chunk.Short(), slot, vstack.ErrHashMismatch, len(data))
	}
	copy(c.data, data)
	return false, nil
}

// stored reports whether the bytes of an Accept that came with bytes are here already
// and are the same: then the vote alone is appended. The chunk is pinned.
func (v *Voter) stored(ctx context.Context, c *call) bool {
	id := c.pins[0]
	if info, ok := v.cfg.Log.Lookup(id); !ok || int(info.Size) != len(c.data) {
		return false
	}
	piece := make([]byte, min(compareStep, len(c.data)))
	for off := 0; off < len(c.data); off += len(piece) {
		want := c.data[off:min(off+len(piece), len(c.data))]
		n, err := v.cfg.Log.ReadAt(ctx, id, piece[:len(want)], int64(off))
		if err != nil || !bytes.Equal(piece[:n], want) {
			return false
		}
	}
	return true
}

// Plan starts a plan of what to drop: see Drop.
func (v *Voter) Plan() { v.guard.plan() }

// Voted are the chunks that live votes name, those of uploads that are not published
// yet, each with a slot that it was voted for.
func (v *Voter) Voted() map[vstack.ChunkID]vstack.Slot { return v.votes.all() }

// Drop removes chunks that nothing named when Plan was called, but none that a
// request has looked at since. It returns how many it removed.
func (v *Voter) Drop(ctx context.Context, ids []vstack.ChunkID) (int, error) {
	drop, end := v.guard.begin(ids)
	defer end()
	if len(drop) == 0 {
		return 0, nil
	}
	recs := make([]superblock.Record, len(drop))
	for i, id := range drop {
		recs[i] = superblock.Record{Kind: superblock.KindDrop, Value: vstack.Value{Chunk: id}}
	}
	if _, err := v.cfg.Log.Append(ctx, recs...); err != nil {
		return 0, fmt.Errorf("drop %d chunks: %w", len(drop), err)
	}
	return len(drop), nil
}

// recordOf is the log's form of an acceptor's record.
func recordOf(d chunkpaxos.Durable) superblock.Record {
	r := superblock.Record{Slot: d.Slot, PG: d.PG, Epoch: d.Epoch, Upload: d.Upload, Ballot: d.Ballot, Value: d.Value}
	switch d.Kind {
	case chunkpaxos.DurableVote:
		r.Kind, r.Voted = superblock.KindVote, true
	case chunkpaxos.DurablePromise:
		r.Kind = superblock.KindPromise
	case chunkpaxos.DurableMinimum:
		r.Kind = superblock.KindMinimum
	case chunkpaxos.DurableSeal:
		r.Kind = superblock.KindSeal
	case chunkpaxos.DurableInstall:
		r.Kind = superblock.KindInstall
	case chunkpaxos.DurableAmnesia:
		r.Kind = superblock.KindAmnesia
	case chunkpaxos.DurableForget:
		// The log forgets an upload when no slot is named.
		r = superblock.Record{Kind: superblock.KindForget, Upload: d.Upload}
	}
	return r // one of no kind is refused by the log
}

// durableOf is recordOf's inverse, for what a restart restores; false for records
// that are no state of an acceptor.
func durableOf(r superblock.Record, lsn vstack.LSN) (chunkpaxos.Durable, bool) {
	d := chunkpaxos.Durable{Slot: r.Slot, PG: r.PG, Epoch: r.Epoch, Upload: r.Upload, Ballot: r.Ballot, Value: r.Value, LSN: lsn}
	switch r.Kind {
	case superblock.KindVote:
		d.Kind = chunkpaxos.DurableVote
	case superblock.KindChunk:
		if !r.Voted {
			return d, false
		}
		d.Kind = chunkpaxos.DurableVote
	case superblock.KindPromise:
		d.Kind = chunkpaxos.DurablePromise
	case superblock.KindMinimum:
		d.Kind = chunkpaxos.DurableMinimum
	case superblock.KindSeal:
		d.Kind = chunkpaxos.DurableSeal
	case superblock.KindInstall:
		d.Kind = chunkpaxos.DurableInstall
	case superblock.KindAmnesia:
		d.Kind = chunkpaxos.DurableAmnesia
	default:
		return d, false
	}
	return d, true
}
