package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/bench/lab"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// cluster is the measured lab: real host processes, and the clients of one uploader.
type cluster struct {
	opt    Options
	lab    *lab.Lab
	id     *identity.Identity
	meta   *metaclient.Client
	chunks *quicclient.Client
}

// openCluster starts a lab of three hosts under opt.Dir.
func openCluster(ctx context.Context, opt Options, transport quicclient.WriteTransport) (_ *cluster, err error) {
	c := &cluster{opt: opt}
	spec := lab.Spec{Spec: deploy.Spec{FirstIP: opt.FirstIP, LogLevel: "warn", Superblock: opt.superblock}, Under: opt.Dir}
	if c.lab, err = lab.Init(ctx, spec); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	admin, err := c.lab.Serve(ctx, opt.Exe)
	if err != nil {
		return nil, err
	}
	c.id, c.meta = admin.ID, admin.Meta
	c.chunks, err = c.newChunkClient(transport)
	return c, err
}

// newChunkClient makes another client of the same cluster. It waits for the third
// copy as long as it takes: a benchmark of three copies must not count two.
func (c *cluster) newChunkClient(transport quicclient.WriteTransport) (*quicclient.Client, error) {
	return quicclient.New(quicclient.Config{TLS: c.id.ClientTLS(), Placement: c.meta.Placement, WriteTransport: transport, AwaitLast: 10 * time.Second})
}

// Close stops the hosts and removes their data.
func (c *cluster) Close() error {
	var errs []error
	if c.chunks != nil {
		errs = append(errs, c.chunks.Close())
	}
	if c.meta != nil {
		c.meta.Close()
	}
	return errors.Join(append(errs, c.lab.Close())...)
}

// upload is an open upload whose slots a scenario fills one after the other.
type upload struct {
	vstack.Upload
	c    *cluster
	next uint32
}

func (c *cluster) openUpload(ctx context.Context, title string) (*upload, error) {
	up, err := c.meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: title, Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		return nil, fmt.Errorf("open upload: %w", err)
	}
	return &upload{Upload: up, c: c}, nil
}

// slot hands out each slot of track 1 once.
func (u *upload) slot() vstack.Slot {
	s := vstack.Slot{Video: u.Video, Track: 1, Seq: u.next}
	u.next++
	return s
}

// stored is a committed chunk and the store that leads its placement group.
type stored struct {
	id   vstack.ChunkID
	size int
	addr string
}

// fill commits n random chunks of size bytes.
func (u *upload) fill(ctx context.Context, n, size int) ([]stored, error) {
	m, err := u.c.meta.Placement(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]stored, 0, n)
	for range n {
		data := randomChunk(size)
		slot := u.slot()
		got, err := u.c.chunks.Commit(ctx, u.Upload, slot, data)
		if err != nil {
			return nil, fmt.Errorf("commit %s: %w", slot, err)
		}
		group, _ := m.Group(slot)
		lead, ok := m.Store(group.Targets[0])
		if !ok {
			return nil, fmt.Errorf("store %s of %s: %w", group.Targets[0], slot, vstack.ErrNotFound)
		}
		out = append(out, stored{id: got.Value.Chunk, size: size, addr: lead.Addr})
	}
	return out, nil
}

// randomChunk is incompressible and unlike any other.
func randomChunk(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}
