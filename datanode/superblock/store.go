package superblock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/vstack/vstack/datanode/superblock/ahead"
	"github.com/vstack/vstack/datanode/superblock/finding"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/datanode/superblock/meter"
	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vstack"
)

// Store is one open data directory. Its methods may be called concurrently.
type Store struct {
	cfg     Config
	id      vstack.StoreID
	ix      *index.Index
	files   map[uint32]*superblock // under ix's lock
	lock    io.Closer
	metrics *meter.Metrics

	// gate lets Close wait for senders: they hold it shared while they queue.
	gate   sync.RWMutex
	closed bool
	queue  chan *request
	done   chan struct{} // closed when the writer has ended

	lsn atomic.Uint64
	// version is the format.Version of what is appended, which STORE allows.
	version atomic.Uint32
	box     atomic.Pointer[seal.Box] // seals what is appended; nil for a store that is not encrypted
	failed  atomic.Pointer[error]    // the I/O error after which nothing is acknowledged

	// Of the writer's goroutine alone, once it runs.
	active *superblock
	nextID uint32
	// onReserve: the active file may take space of the reserve, so chunks wait for room.
	onReserve bool
	ahead     *ahead.Maker // Held is anyone's to ask

	maintain  sync.Mutex // one of State and Compact at a time: files do not vanish under it
	scrubbing sync.Mutex // one Scrub at a time

	findings finding.List
}

// Open locks the directory, recovers what it holds and starts the writer. An empty or
// absent directory becomes a new store. The caller owns the Store and must Close it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg, ix: index.New(), files: map[uint32]*superblock{}, queue: make(chan *request, cfg.QueueLength), done: make(chan struct{}), nextID: 1, onReserve: true, ahead: ahead.New(cfg.FS, cfg.Dir, cfg.SuperblockSize)}
	if err := s.recover(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", cfg.Dir, err), s.releaseAll())
	}
	go s.write()
	return s, nil
}

// ID is the store's identity, made with its directory.
func (s *Store) ID() vstack.StoreID { return s.id }

// LSN is the highest durable log position; 0 for a store that never held a record.
func (s *Store) LSN() vstack.LSN { return vstack.LSN(s.lsn.Load()) }

// Close stops the writer after the appends that have been queued, and frees the
// directory. Reads in progress finish; later calls give ErrClosed.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	close(s.queue)
	s.gate.Unlock()
	<-s.done
	s.maintain.Lock() // wait for State, Compact and Scrub to notice
	defer s.maintain.Unlock()
	s.scrubbing.Lock()
	defer s.scrubbing.Unlock()
	return s.releaseAll()
}

// isClosed reports whether Close was called.
func (s *Store) isClosed() bool {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.closed
}

// releaseAll gives up the files and the directory.
func (s *Store) releaseAll() error {
	s.ix.Lock()
	files := s.files
	s.files = map[uint32]*superblock{}
	s.ix.Unlock()
	errs := []error{s.ahead.Close()}
	for _, b := range files {
		errs = append(errs, b.release())
	}
	if s.metrics != nil {
		s.metrics.Unregister()
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// fail stops the store for good after an I/O error; the first one counts.
func (s *Store) fail(err error) {
	if s.failed.CompareAndSwap(nil, &err) {
		s.cfg.Logger.Error("store stopped: an I/O error leaves the disk's content unknown", "store", s.id, "err", err)
		s.cfg.Fatal(fmt.Errorf("store %s at %s: %w", s.id, s.cfg.Dir, err))
	}
}

// failure is the error of everything after fail.
func (s *Store) failure() error {
	if p := s.failed.Load(); p != nil {
		return fmt.Errorf("store %s stopped after an I/O error: %w (%w)", s.id, vstack.ErrUnavailable, *p)
	}
	return nil
}

// found reports a finding to log, metric and Findings.
func (s *Store) found(f Finding) {
	if s.metrics != nil {
		s.metrics.Findings.WithLabelValues(string(f.Kind)).Inc()
	}
	s.cfg.Logger.Warn("store damage", "store", s.id, "kind", f.Kind, "file", f.File, "offset", f.Offset,
		"length", f.Length, "chunk", f.Chunk, "piece", f.Piece.String(), "err", f.Err)
	s.findings.Add(f)
}

// Findings lists what was found wrong since Open, oldest first, at most 1,000.
func (s *Store) Findings() []Finding { return s.findings.All() }

// LostRecords reports whether records that had been acknowledged are lost to rot, and no
// SettleLost has noted that: the store may have forgotten votes.
func (s *Store) LostRecords() bool { return s.findings.Lost() }
