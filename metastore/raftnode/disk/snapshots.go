package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/sealed"
)

// Below a member's directory are Raft, and in that its log and snapshots, and Manifests.
const (
	Raft      = "raft"
	Manifests = "manifests"
)

const (
	kept = 2 // snapshots
	// paceBytes of a snapshot go to the disk at a time: a write of the log waits no longer
	// than for that.
	paceBytes = 1 << 20
)

// Snapshots syncs a snapshot while it is written. The library syncs it once at its
// end, and writes of the log would then wait behind all of it.
type Snapshots struct {
	*raft.FileSnapshotStore
	dir string      // of the store
	key *sealed.Key // nil: they are not encrypted
	// whole: see Whole; nil for snapshots that travel as they are.
	whole func(open func() (io.ReadCloser, error)) (io.ReadCloser, int64, error)
}

// OpenSnapshots opens the snapshots below a member's directory, encrypted if there is a key.
func OpenSnapshots(dir string, key *sealed.Key, logger hclog.Logger) (*Snapshots, error) {
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, kept, logger)
	if err != nil {
		return nil, fmt.Errorf("open raft snapshots: %w", err)
	}
	return &Snapshots{FileSnapshotStore: files, dir: dir, key: key}, nil
}

// Travel has snapshots travel as whole makes them. It is called before Raft begins.
func (p *Snapshots) Travel(whole func(open func() (io.ReadCloser, error)) (io.ReadCloser, int64, error)) {
	p.whole = whole
}

// Oldest is the Raft index of the oldest snapshot that is kept; 0 without one.
func (p *Snapshots) Oldest() (uint64, error) {
	all, err := p.List()
	if err != nil {
		return 0, fmt.Errorf("list raft snapshots: %w", err)
	}
	var oldest uint64
	for _, s := range all {
		if oldest == 0 || s.Index < oldest {
			oldest = s.Index
		}
	}
	return oldest, nil
}

// Open is of raft.SnapshotStore: a snapshot as it was before it was encrypted.
func (p *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, file, err := p.open(id)
	if err != nil || p.whole == nil {
		return meta, file, err
	}
	return meta, &travelling{file, func() (io.ReadCloser, int64, error) {
		return p.whole(func() (io.ReadCloser, error) {
			_, again, err := p.open(id)
			return again, err
		})
	}}, nil
}

// travelling is a snapshot as it is on the disk, and as it is sent.
type travelling struct {
	io.ReadCloser
	whole func() (io.ReadCloser, int64, error)
}

// Whole is the snapshot as another member can begin with it, and its size.
func (t *travelling) Whole() (io.ReadCloser, int64, error) { return t.whole() }

// Create begins a snapshot. The names are the library's: ID.tmp/state.bin until Close.
func (p *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	sink, err := p.FileSnapshotStore.Create(version, index, term, conf, confIndex, trans)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(p.dir, "snapshots", sink.ID()+".tmp", "state.bin"), os.O_WRONLY, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open raft snapshot: %w", err), sink.Cancel())
	}
	paced := &pacedSink{SnapshotSink: sink, file: file}
	if p.key == nil {
		return paced, nil
	}
	return sealSink(paced, p.key)
}

type pacedSink struct {
	raft.SnapshotSink
	file  *os.File // the sink's own, opened once more; nil once closed
	dirty int
}

func (s *pacedSink) Write(b []byte) (int, error) {
	n, err := s.SnapshotSink.Write(b)
	if s.dirty += n; err == nil && s.dirty >= paceBytes {
		s.dirty = 0
		if err = s.file.Sync(); err != nil {
			err = fmt.Errorf("sync raft snapshot: %w", err)
		}
	}
	return n, err
}

// Close may be called again, as the library does after Persist.
func (s *pacedSink) Close() error { return errors.Join(s.release(), s.SnapshotSink.Close()) }

// Cancel throws away what was written.
func (s *pacedSink) Cancel() error { return errors.Join(s.release(), s.SnapshotSink.Cancel()) }

func (s *pacedSink) release() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
