package baseline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// An unvoted host is a datanode without consensus: the same listeners, limits, memory
// budget, hash and log, each PUT one append of the chunk's bytes alone. What ChunkPaxos
// costs is the difference to it. Nothing else can be had from it: no upload, no slot, no
// epoch, no catalog, and two writers of one slot would both be told that they were right.

// unvotedSetup is the standard input of an unvoted host.
type unvotedSetup struct {
	TLS        string            `json:"tls"`        // directory of the host's identity
	Stores     map[string]string `json:"stores"`     // directory by HOST:PORT
	Superblock int64             `json:"superblock"` // size of a log file
}

// serveUnvoted runs an unvoted host until ctx ends.
func serveUnvoted(ctx context.Context, conf unvotedSetup, ready func()) (err error) {
	id, err := identity.Load(conf.TLS)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := slog.New(slog.DiscardHandler)
	writes := serve.NewBuffers(128 << 20) // the datanode's default
	var running errgroup.Group
	for addr, dir := range conf.Stores {
		disk, err := superblock.Open(ctx, superblock.Config{
			Dir: dir, SuperblockSize: conf.Superblock, Logger: quiet,
			Fatal: func(err error) { panic(err) }, // a benchmark on a broken disk measures nothing
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, disk.Close()) }()
		e, err := serve.Listen(serve.Config{
			Addr: addr, TLS: id.ServerTLS(), ResetKey: id.ResetKey(), Gate: serve.NewGate(1024), Logger: quiet,
			Handler: &unvotedStore{disk: disk, writes: writes},
		})
		if err != nil {
			return err
		}
		running.Go(func() error {
			defer cancel() // one broken listener ends the host
			return e.Serve(ctx)
		})
	}
	ready()
	return running.Wait()
}

// unvotedStore takes chunks without asking whether it should.
type unvotedStore struct {
	disk   *superblock.Store
	writes *serve.Buffers
}

func (s *unvotedStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lsn, err := s.put(r)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	w.Header().Set(wire.HeaderStore, s.disk.ID().String())
	w.Header().Set(wire.HeaderLSN, strconv.FormatUint(uint64(lsn), 10))
	w.WriteHeader(http.StatusOK)
}

// put receives, verifies and appends, step by step as datanode/vote does.
func (s *unvotedStore) put(r *http.Request) (vstack.LSN, error) {
	if _, err := identity.RequirePeer(r, vstack.RoleIngest|vstack.RoleAdmin); err != nil {
		return 0, err
	}
	want, err := vstack.ParseChunkID(path.Base(r.URL.Path))
	if err != nil || r.Method != http.MethodPut || r.ContentLength <= 0 || r.ContentLength > vstack.MaxChunkSize {
		return 0, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, errors.Join(vstack.ErrInvalid, err))
	}
	buf, err := s.writes.Get(r.Context(), admission.KeyOf(r), int(r.ContentLength))
	if err != nil {
		return 0, err
	}
	defer buf.Release()
	hash := sha256.New()
	const step = 256 << 10
	for off := 0; off < len(buf.Bytes); off += step {
		p := buf.Bytes[off:min(off+step, len(buf.Bytes))]
		n, err := io.ReadFull(r.Body, p)
		hash.Write(p[:n])
		if err != nil {
			return 0, fmt.Errorf("receive chunk: %w: %v", vstack.ErrTruncated, err)
		}
	}
	if vstack.ChunkID(hash.Sum(nil)) != want {
		return 0, fmt.Errorf("receive chunk: %w", vstack.ErrHashMismatch)
	}
	return s.disk.Append(context.WithoutCancel(r.Context()), superblock.Record{
		Kind: superblock.KindChunk, Value: vstack.Value{Chunk: want, Size: uint32(len(buf.Bytes))}, Data: buf.Bytes,
	})
}
