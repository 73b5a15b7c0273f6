package blobs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// Digest names a blob.
type Digest = [sha256.Size]byte

// short names a digest in messages.
func short(d Digest) string { return vstack.ChunkID(d).Short() }

// keeper is what blobs are kept in. Its methods may be called at the same time.
type keeper interface {
	set(d Digest, blob []byte) error
	// get is not to be changed, nil if there is none.
	get(d Digest) ([]byte, error)
	remove(ds []Digest) error
	sizes(yield func(d Digest, size uint32)) error
	sync() error
	// damaged marks the store for the next process.
	damaged(why error) error
	close() error
}

// dropBatch is how many blobs are dropped while Put waits.
const dropBatch = 256

// Store is the blobs of one catalog, safe for use by many goroutines once it is open.
type Store struct {
	cfg    Config // of one on the disk
	keeper keeper // set by Open

	// changing is held while a snapshot takes the catalog's place, and while blobs are
	// dropped.
	changing sync.Mutex

	mu      sync.Mutex
	orphans map[Digest]uint64 // the Raft index that orphaned them
	holds   int
	closed  bool
}

// Put keeps a blob, in memory until Sync at the latest.
func (s *Store) Put(d Digest, blob []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("keep manifest %s: %w", short(d), vstack.ErrClosed)
	}
	delete(s.orphans, d)
	return s.keeper.set(d, blob)
}

// Get is a blob; ErrManifestsLost if it is not there.
func (s *Store) Get(d Digest) ([]byte, error) {
	b, err := s.keeper.get(d)
	if err == nil && b == nil {
		err = vstack.ErrManifestsLost
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", short(d), err)
	}
	return b, nil
}

// Damaged marks the store: a blob that its catalog names was not there, or not what it was.
func (s *Store) Damaged(why error) error { return s.keeper.damaged(why) }

// Orphan notes that from the Raft index on the catalog does not name a blob any more.
func (s *Store) Orphan(d Digest, index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orphans[d] = index
}

// Sync returns once all that was put is on the disk.
func (s *Store) Sync() error { return s.keeper.sync() }

// Hold keeps all blobs until the result is called, once or more.
func (s *Store) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.holds--
	})
}

// Drop removes the orphans that no snapshot names of which the oldest that is kept is at the
// Raft index oldest, and says how many those were. While somebody holds the store it removes
// none; a later one does.
func (s *Store) Drop(oldest uint64) (dropped int, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	for {
		n, err := s.drop(oldest)
		if dropped += n; n == 0 || err != nil {
			return dropped, err
		}
	}
}

func (s *Store) drop(oldest uint64) (int, error) {
	s.mu.Lock() // a blob that is put again meanwhile must not be removed after it
	defer s.mu.Unlock()
	if s.holds > 0 || s.closed {
		return 0, nil
	}
	var batch []Digest
	for d, index := range s.orphans {
		if index <= oldest {
			batch = append(batch, d)
		}
		if len(batch) == dropBatch {
			break
		}
	}
	if len(batch) == 0 {
		return 0, nil
	}
	if err := s.keeper.remove(batch); err != nil {
		return 0, err
	}
	for _, d := range batch {
		delete(s.orphans, d)
	}
	return len(batch), nil
}

// Orphans is how many blobs wait to be dropped.
func (s *Store) Orphans() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.orphans)
}

// Restoration is a snapshot on its way to take the catalog's place.
type Restoration struct {
	s     *Store
	have  map[Digest]uint32 // and not named yet
	ended bool
}

// Restore begins one. Nothing is dropped until End.
func (s *Store) Restore() (*Restoration, error) {
	s.changing.Lock()
	r := &Restoration{s: s, have: map[Digest]uint32{}}
	if err := s.keeper.sizes(func(d Digest, size uint32) { r.have[d] = size }); err != nil {
		s.changing.Unlock()
		return nil, err
	}
	return r, nil
}

// Put keeps a blob that the snapshot names and brings, if it is not there.
func (r *Restoration) Put(d Digest, blob []byte) error {
	size, ok := r.have[d]
	delete(r.have, d)
	if ok && size == uint32(len(blob)) { // nothing is dropped meanwhile
		return nil
	}
	return r.s.Put(d, blob)
}

// Name wants a blob that the snapshot names to be there, of that size.
func (r *Restoration) Name(d Digest, size uint32) error {
	have, ok := r.have[d]
	switch {
	case !ok:
		return fmt.Errorf("manifest %s: %w: the snapshot names it, and what is kept beside it is older, or another's", short(d), vstack.ErrManifestsLost)
	case have != size:
		return fmt.Errorf("manifest %s: %w: it has %d bytes, the snapshot says %d", short(d), vstack.ErrManifestsLost, have, size)
	}
	delete(r.have, d)
	return nil
}

// End ends it. With taken, what the snapshot at the Raft index did not name are orphans, and
// nothing else is. Without, all is as before, but for what was put.
func (r *Restoration) End(taken bool, index uint64) {
	if r.ended {
		return
	}
	r.ended = true
	defer r.s.changing.Unlock()
	if !taken {
		return
	}
	orphans := make(map[Digest]uint64, len(r.have))
	for d := range r.have {
		orphans[d] = index
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.orphans = orphans
}

// Close ends the use of the store. Idempotent.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed || s.keeper == nil {
		return nil
	}
	return s.keeper.close()
}

// begin takes what is kept: all of it orphans of index 0 until a catalog names it.
func (s *Store) begin(k keeper) error {
	if err := k.sizes(func(d Digest, _ uint32) { s.orphans[d] = 0 }); err != nil {
		return errors.Join(err, k.close())
	}
	s.keeper = k
	return nil
}
