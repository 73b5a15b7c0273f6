package history

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// maxSettle bounds how often a settler proposes for one slot.
const maxSettle = 20

// proposing is a client's part in one history.
type proposing struct {
	c      *client
	j      job
	chunks *quicclient.Client

	mu sync.Mutex
	up vstack.Upload // a contender follows the incarnations
}

// propose has this client's value proposed once; a settler goes on until it knows,
// within maxSettle. The error is of the pipe.
func (p *proposing) propose(ctx context.Context, seq uint32) error {
	data := content(p.j.History, p.j.Tag, seq)
	for try := 1; ; try++ {
		p.mu.Lock()
		up := p.up
		p.mu.Unlock()
		op := Op{Client: string(p.j.Role), Kind: Propose, Seq: seq, Value: vstack.ChunkIDOf(data), Call: now()}
		id, err := p.c.called(op)
		if err != nil {
			return err
		}
		call, cancel := context.WithTimeout(ctx, opTimeout)
		done, err := p.chunks.Commit(call, up, vstack.Slot{Video: up.Video, Track: 1, Seq: seq}, data)
		cancel()
		op.Return = now()
		var conflict *quicclient.ConflictError
		switch {
		case err == nil:
			op.Known, op.Got = true, done.Value.Chunk
		case errors.As(err, &conflict):
			op.Known, op.Got = true, conflict.Value.Chunk
		}
		if werr := p.c.returned(id, op); werr != nil || op.Known {
			return werr
		}
		if errors.Is(err, vstack.ErrFenced) && p.chunks == p.c.other {
			p.follow(ctx)
		}
		if p.j.Role != asSettler || try == maxSettle || ctx.Err() != nil {
			return nil
		}
	}
}

// follow takes over the incarnation that fenced the contender's.
func (p *proposing) follow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if up, err := p.c.meta.Upload(ctx, p.j.Upload.ID); err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if up.Incarnation > p.up.Incarnation {
			p.up = up
		}
	}
}

// read is one Read by the learn rule. One that found no majority leaves no trace.
func (c *client) read(ctx context.Context, j job, seq uint32) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	op := Op{Client: string(j.Role), Kind: Read, Seq: seq, Call: now()}
	got, known := c.reads.read(ctx, vstack.Slot{Video: j.Upload.Video, Track: 1, Seq: seq})
	if !known {
		return nil
	}
	op.Known, op.Got, op.Return = true, got, now()
	id, err := c.called(op)
	if err != nil {
		return err
	}
	return c.returned(id, op)
}

// content is the bytes that clients with a tag propose for a slot: 1 to 4 KiB, unlike
// those of any other tag, slot or history.
func content(history, tag uint64, seq uint32) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], history)
	binary.LittleEndian.PutUint64(seed[8:], tag)
	binary.LittleEndian.PutUint32(seed[16:], seq)
	rng := rand.NewChaCha8(seed)
	b := make([]byte, 1024+rng.Uint64()%3072)
	_, _ = rng.Read(b) // never fails
	return b
}
