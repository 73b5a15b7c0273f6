package superblock

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"

	"github.com/vstack/vstack/datanode/superblock/ahead"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// tailReserve is the end of each superblock that chunks leave to smaller records, so
// that tombstones find room when no further file can be made.
func (s *Store) tailReserve() int64 { return format.Align(s.cfg.SuperblockSize/256, format.GroupAlign) }

// hasRoom reports whether r fits into the active file behind a group so far.
func (s *Store) hasRoom(r *request, bytes int64, records int) bool {
	if s.active == nil || s.active.version != s.appends() {
		return false
	}
	if r.class == classChunk && s.onReserve {
		if s.space(s.cfg.Reserve) != nil {
			return false
		}
		s.onReserve = false
	}
	var keep int64
	if r.class != classState {
		keep = s.tailReserve()
	}
	return s.active.fits(s.cfg.SuperblockSize, bytes+r.Len, records+len(r.Recs), keep)
}

// roll makes a new superblock for r and seals the active one. ErrDiskFull leaves the
// active one as it is.
func (s *Store) roll(r *request) error {
	next, err := s.newFile(r.class)
	if err != nil {
		return err
	}
	if s.active != nil {
		if err := s.active.seal(); err != nil {
			err = fmt.Errorf("seal superblock: %w", err)
			s.adopt(next)
			s.fail(err)
			return s.failure()
		}
		s.ix.Lock()
		s.active.sealed, s.active.entries = true, nil
		s.active.size = s.active.sealedSize()
		s.ix.Unlock()
	}
	s.adopt(next)
	s.active = next
	return nil
}

// begin begins a stretch: what is sealed from now on has a key that nothing was sealed with,
// whatever a crash cuts off.
func (s *Store) begin() error {
	if box := s.box.Load(); box != nil {
		return box.Begin(s.cfg.Rand)
	}
	return nil
}

// random64 is a salt: no bytes of an upload can imitate a record of a file, since
// nobody outside knows it.
func (s *Store) random64() (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(s.cfg.Rand, b[:]); err != nil {
		return 0, fmt.Errorf("read random bytes: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

func (s *Store) adopt(b *superblock) {
	s.ix.Lock()
	s.files[b.id] = b
	s.ix.Unlock()
	s.nextID = b.id + 1
}

// newFile makes the next superblock if class may have the space for it.
func (s *Store) newFile(c class) (*superblock, error) {
	s.ahead.Wait()
	err := s.space(s.cfg.SuperblockSize + s.cfg.Reserve)
	onReserve := err != nil
	if onReserve && c != classChunk {
		err = s.space(s.cfg.SuperblockSize)
	}
	if err != nil {
		return nil, err
	}
	h := format.FileHeader{Version: s.appends(), ID: s.nextID, Store: s.id, Base: s.LSN()}
	if h.Salt, err = s.random64(); err == nil {
		err = s.begin()
	}
	if err != nil {
		return nil, err
	}
	name := fileName(h.ID)
	f, err := s.ahead.Create(name, h.Encode())
	if err == nil {
		s.onReserve = onReserve
		b := newSuperblock(f, filepath.Join(s.cfg.Dir, name), h, s.box.Load())
		b.size = s.cfg.SuperblockSize
		return b, nil
	}
	if ahead.Full(err) {
		return nil, fmt.Errorf("%w: %w", vstack.ErrDiskFull, err)
	}
	s.fail(err)
	return nil, s.failure()
}

// prepare has the next file made once the active one is half full, from space that
// chunks may take.
func (s *Store) prepare() {
	if s.active.end > s.cfg.SuperblockSize/2 {
		s.ahead.Begin(func() error { return s.space(s.cfg.SuperblockSize + s.cfg.Reserve) })
	}
}

// space reports ErrDiskFull unless the store may take need more bytes.
func (s *Store) space(need int64) error {
	if used := s.used(); s.cfg.Capacity > 0 && used+need > s.cfg.Capacity {
		return fmt.Errorf("%d of %d bytes used, %d wanted: %w", used, s.cfg.Capacity, need, vstack.ErrDiskFull)
	}
	free, err := s.cfg.FS.Free(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w: %w", s.cfg.Dir, vstack.ErrUnavailable, err)
	}
	free += s.ahead.Held() // the spare is the file that the space is wanted for, or part of it
	if free < need {
		return fmt.Errorf("%d bytes free, %d wanted: %w", free, need, vstack.ErrDiskFull)
	}
	return nil
}

// used is the bytes that all files take.
func (s *Store) used() int64 {
	s.ix.RLock()
	defer s.ix.RUnlock()
	var n int64
	for _, b := range s.files {
		n += b.size
	}
	return n
}
