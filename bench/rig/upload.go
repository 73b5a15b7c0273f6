package rig

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// Upload is an open upload whose slots a scenario fills one after the other.
type Upload struct {
	vstack.Upload
	c    *Cluster
	next uint32
}

// OpenUpload opens one of no film.
func (c *Cluster) OpenUpload(ctx context.Context, title string) (*Upload, error) {
	up, err := c.Meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: title, Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		return nil, fmt.Errorf("open upload: %w", err)
	}
	return &Upload{Upload: up, c: c}, nil
}

// Slot hands out each slot of track 1 once.
func (u *Upload) Slot() vstack.Slot {
	s := vstack.Slot{Video: u.Video, Track: 1, Seq: u.next}
	u.next++
	return s
}

// Stored is a committed chunk and the store that leads its placement group.
type Stored struct {
	ID   vstack.ChunkID
	Size int
	Addr string
}

// Fill commits n random chunks of size bytes.
func (u *Upload) Fill(ctx context.Context, n, size int) ([]Stored, error) {
	m, err := u.c.Meta.Placement(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Stored, 0, n)
	for range n {
		data := RandomChunk(size)
		slot := u.Slot()
		got, err := u.c.Chunks.Commit(ctx, u.Upload, slot, data)
		if err != nil {
			return nil, fmt.Errorf("commit %s: %w", slot, err)
		}
		group, _ := m.Group(slot)
		lead, ok := m.Store(group.Targets[0])
		if !ok {
			return nil, fmt.Errorf("store %s of %s: %w", group.Targets[0], slot, vstack.ErrNotFound)
		}
		out = append(out, Stored{ID: got.Value.Chunk, Size: size, Addr: lead.Addr})
	}
	return out, nil
}

// PutRound commits n fresh chunks, width at once, and returns MB/s of chunk bytes.
func (u *Upload) PutRound(ctx context.Context, client *quicclient.Client, n, width int) (float64, error) {
	datas, slots := make([][]byte, n), make([]vstack.Slot, n)
	for i := range datas {
		datas[i], slots[i] = RandomChunk(vstack.ChunkSize), u.Slot()
	}
	wall, _, err := InFlight(ctx, n, width, func(ctx context.Context, i int) error {
		return u.Put(ctx, client, slots[i], datas[i])
	})
	return Throughput(int64(n)*vstack.ChunkSize, wall), err
}

// PutMedian commits n fresh chunks one after the other and returns the median in ms.
func (u *Upload) PutMedian(ctx context.Context, client *quicclient.Client, n int) (float64, error) {
	each := make([]float64, n)
	for i := range each {
		data := RandomChunk(vstack.ChunkSize)
		start := time.Now()
		if err := u.Put(ctx, client, u.Slot(), data); err != nil {
			return 0, err
		}
		each[i] = time.Since(start).Seconds() * 1e3
	}
	return paired.Quantile(each, 0.5), nil
}

// Put commits one chunk and demands all three copies.
func (u *Upload) Put(ctx context.Context, client *quicclient.Client, slot vstack.Slot, data []byte) error {
	return u.PutWith(ctx, client, slot, data, nil)
}

// PutWith is Put with the chunk's leaf table, or none.
func (u *Upload) PutWith(ctx context.Context, client *quicclient.Client, slot vstack.Slot, data []byte, leaves vstack.LeafTable) error {
	got, err := client.CommitValue(ctx, u.Upload, slot, vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}, leaves, data)
	if err != nil {
		return fmt.Errorf("commit %s: %w", slot, err)
	}
	if got.Acks != vstack.Acceptors {
		return fmt.Errorf("commit %s: %w: %d copies, want %d", slot, vstack.ErrNoQuorum, got.Acks, vstack.Acceptors)
	}
	return nil
}

// RandomChunk is incompressible and unlike any other.
func RandomChunk(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}
