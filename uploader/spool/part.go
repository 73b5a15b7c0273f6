package spool

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

const (
	markSize  = 128
	markHash  = 8
	stateSize = 108 // of crypto/sha256
	markSum   = markSize - 4

	// markEvery and markAfter say when bytes of a part are made durable while more arrive, which
	// takes one at a time. What a host's crash loses of a part, and has to be sent again, is at
	// most twice this.
	markEvery = 8 << 20
	markAfter = 2 * time.Second
	// roomEvery is how many bytes are written between two looks at the disk's free space.
	roomEvery = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewID is the name of a part: 128 random bits. Whoever knows it may go on with it.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// ValidID says whether a name could be NewID's.
func ValidID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == 16 && hex.EncodeToString(b) == id
}

// Part is a file that arrives, open for appending. One goroutine uses it at a time, but
// for Size, which any may ask through the file.
type Part struct {
	ID string

	s        *Spool
	dir      string
	f        *source.Writer // nil where it is only looked at
	marks    *os.File       // nil: the part cannot be resumed
	hash     hash.Hash
	size     int64
	synced   int64     // bytes on disk
	marked   int64     // bytes of the last mark that was begun
	at       time.Time // when that was
	turn     int64     // which of the two marks is written next
	flushing *flush    // a mark on its way to the disk, nil for none
	failed   error     // a disk that failed to make something durable may forget it, and say of it later that it is
	looked   int64     // size at the last look at the disk's room
}

// NewPart makes a part. about is kept beside a part that can be resumed; with nil it is
// one that a start of the process throws away.
func (s *Spool) NewPart(id string, about []byte) (p *Part, err error) {
	p = &Part{ID: id, s: s, dir: s.path(dirIncoming, id), hash: sha256.New(), at: time.Now()}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return nil, diskError(fmt.Errorf("spool: %w", err))
	}
	defer func() {
		if err != nil {
			err = diskError(fmt.Errorf("spool: new part: %w", errors.Join(err, p.Close(), os.RemoveAll(p.dir))))
			p = nil
		}
	}()
	if p.f, err = s.vault.Create(p.file(fileSource)); err != nil || about == nil {
		return p, err
	}
	if p.marks, err = os.OpenFile(p.file(fileSynced), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return p, err
	}
	if err = p.Sync(); err != nil {
		return p, err
	}
	if err = s.writeState(p.file(fileAbout), about); err != nil {
		return p, err
	}
	return p, syncDir(s.path(dirIncoming))
}

// OpenPart opens a part that can be resumed, for more bytes: it holds what was durable
// when it was last written. A part that is not there is ErrNotFound.
func (s *Spool) OpenPart(id string) (p *Part, err error) {
	p = &Part{ID: id, s: s, dir: s.path(dirIncoming, id), at: time.Now()}
	defer func() {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("spool: part %s: %w", id, vstack.ErrNotFound)
		}
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if !ValidID(id) {
		return p, fmt.Errorf("spool: part: %w", vstack.ErrNotFound)
	}
	if p.marks, err = os.OpenFile(p.file(fileSynced), os.O_RDWR, 0); err != nil {
		return p, err
	}
	if err = p.readMarks(); err != nil {
		return p, err
	}
	if p.f, err = s.vault.Append(p.file(fileSource), p.synced); err != nil {
		return p, fmt.Errorf("spool: part %s: %w", id, err)
	}
	return p, nil
}

// Parts lists the parts that can be resumed, with the time of each one's last bytes.
func (s *Spool) Parts() (map[string]time.Time, error) {
	entries, err := os.ReadDir(s.path(dirIncoming))
	if err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	out := map[string]time.Time{}
	for _, e := range entries {
		info, err := os.Stat(s.path(dirIncoming, e.Name(), fileSynced))
		if errors.Is(err, fs.ErrNotExist) {
			continue // of a body that arrives in one request, or gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read spool: %w", err)
		}
		out[e.Name()] = info.ModTime()
	}
	return out, nil
}

// Synced is how many bytes of a part are on disk, and since when.
func (s *Spool) Synced(id string) (size int64, at time.Time, err error) {
	p := &Part{ID: id, s: s, dir: s.path(dirIncoming, id)}
	p.marks, err = os.Open(p.file(fileSynced))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("spool: part %s: %w", id, vstack.ErrNotFound)
	}
	if err == nil {
		err = p.readMarks()
	}
	var info fs.FileInfo
	if err == nil {
		info, err = p.marks.Stat()
	}
	if err = errors.Join(err, p.Close()); err != nil {
		return 0, at, err
	}
	return p.synced, info.ModTime(), nil
}

// About is what was kept beside a part.
func (s *Spool) About(id string) ([]byte, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("spool: part: %w", vstack.ErrNotFound)
	}
	b, err := s.readState(s.path(dirIncoming, id, fileAbout))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("spool: part %s: %w", id, vstack.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: part %s: %w", id, err)
	}
	return b, nil
}

// SetAbout replaces what is kept beside a part.
func (s *Spool) SetAbout(id string, about []byte) error {
	if err := s.writeState(s.path(dirIncoming, id, fileAbout), about); err != nil {
		return fmt.Errorf("spool: part %s: %w", id, err)
	}
	return nil
}

// Begun is the state of the work that has begun on a part while it arrives; nil for none.
func (s *Spool) Begun(id string) ([]byte, error) {
	b, err := s.readState(s.path(dirIncoming, id, fileJob))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Begin keeps it.
func (s *Spool) Begin(id string, state []byte) error {
	if err := s.writeState(s.path(dirIncoming, id, fileJob), state); err != nil {
		return fmt.Errorf("spool: part %s: %w", id, err)
	}
	return nil
}

// Abandoned lists the parts that no client can go on with, and on which work had begun.
func (s *Spool) Abandoned() (ids []string, err error) {
	kept, err := s.Parts()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.path(dirIncoming))
	for _, e := range entries {
		if _, ok := kept[e.Name()]; !ok {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// RemovePart removes a part, open or not. One that is not there is no error.
func (s *Spool) RemovePart(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("spool: part: %w", vstack.ErrNotFound)
	}
	if err := os.RemoveAll(s.path(dirIncoming, id)); err != nil {
		return fmt.Errorf("spool: remove part: %w", err)
	}
	return nil
}

// clearIncoming removes the parts that no client can go on with, but for those on which work
// had begun: what that left elsewhere has to be undone first.
func (s *Spool) clearIncoming() error {
	kept, err := s.Parts()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.path(dirIncoming))
	for _, e := range entries {
		begun, _ := s.Begun(e.Name())
		if _, ok := kept[e.Name()]; !ok && begun == nil || !ValidID(e.Name()) {
			err = errors.Join(err, os.RemoveAll(s.path(dirIncoming, e.Name())))
		}
	}
	return err
}

func (p *Part) file(name string) string { return filepath.Join(p.dir, name) }

// Path is where the part's bytes are.
func (p *Part) Path() string { return p.file(fileSource) }

// Size is how many bytes the part has.
func (p *Part) Size() int64 { return p.size }

// Arrived is how many of them may be read while more come.
func (p *Part) Arrived() int64 { return p.s.vault.Arrived(p.size) }

// Sum is the SHA-256 of the bytes so far.
func (p *Part) Sum() vstack.ChunkID { return vstack.ChunkID(p.hash.Sum(nil)) }

// Write appends. From time to time it makes what has come so far durable.
func (p *Part) Write(b []byte) (int, error) {
	if p.size-p.looked >= roomEvery {
		p.looked = p.size
		if err := p.s.Room(roomEvery); err != nil {
			return 0, err
		}
	}
	n, err := p.f.Write(b)
	p.hash.Write(b[:n])
	p.size += int64(n)
	if err != nil {
		return n, diskError(fmt.Errorf("spool: %w", err))
	}
	if p.marks != nil && (p.size-p.marked >= markEvery || time.Since(p.at) >= markAfter) {
		return n, p.begin()
	}
	return n, nil
}

// Close leaves the part where it is. Idempotent.
func (p *Part) Close() error {
	_ = p.settle() // what is not synced may be lost
	var err error
	if p.f != nil {
		err = p.f.Close()
	}
	if p.marks != nil {
		err = errors.Join(err, p.marks.Close())
	}
	p.f, p.marks = nil, nil
	return err
}
