package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/sealed"
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
}

// OpenSnapshots opens the snapshots below a member's directory, encrypted if there is a key.
func OpenSnapshots(dir string, key *sealed.Key, logger hclog.Logger) (*Snapshots, error) {
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, kept, logger)
	if err != nil {
		return nil, fmt.Errorf("open raft snapshots: %w", err)
	}
	return &Snapshots{FileSnapshotStore: files, dir: dir, key: key}, nil
}

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
