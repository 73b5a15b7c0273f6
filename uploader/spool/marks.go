package spool

import (
	"cmp"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

// flush makes the first size bytes of a part durable, and the mark that says so, while more
// arrive: on a disk that takes its time for that a client would wait half of its own.
type flush struct {
	size int64
	done chan error
}

// begin starts a flush of what is there, once the one before has ended.
func (p *Part) begin() error {
	if err := cmp.Or(p.settle(), p.failed); err != nil {
		return err
	}
	mark, err := p.mark()
	if err == nil {
		err = p.f.Pad()
	}
	if err != nil {
		return diskError(fmt.Errorf("spool: %w", err))
	}
	p.flushing = &flush{size: p.size, done: make(chan error, 1)}
	go func(done chan<- error, f *source.Writer, marks *os.File, at int64) {
		err := p.s.durable(f)
		if err == nil {
			if _, err = marks.WriteAt(mark, at); err == nil {
				err = marks.Sync()
			}
		}
		done <- err
	}(p.flushing.done, p.f, p.marks, p.turn*int64(len(mark)))
	p.turn, p.marked, p.at = 1-p.turn, p.size, time.Now()
	return nil
}

// settle waits for the flush that is under way.
func (p *Part) settle() error {
	a := p.flushing
	if a == nil {
		return nil
	}
	p.flushing = nil
	if err := <-a.done; err != nil {
		p.failed = diskError(fmt.Errorf("spool: %w", err))
		return p.failed
	}
	p.synced = a.size
	return nil
}

// Sync makes every byte durable, and the mark that says so.
func (p *Part) Sync() error {
	if p.marks != nil {
		if err := p.begin(); err != nil {
			return err
		}
		return p.settle()
	}
	if err := p.f.Sync(); err != nil {
		return diskError(fmt.Errorf("spool: %w", err))
	}
	p.synced = p.size
	return nil
}

func (p *Part) mark() ([]byte, error) {
	state, err := p.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil || len(state) != stateSize {
		return nil, fmt.Errorf("state of the hash, %d bytes: %w", len(state), errors.Join(err, vstack.ErrInternal))
	}
	m := make([]byte, markSize)
	binary.BigEndian.PutUint64(m, uint64(p.size))
	copy(m[markHash:], state)
	binary.BigEndian.PutUint32(m[markSum:], crc32.Checksum(m[:markSum], castagnoli))
	if p.s.box != nil { // the state of the hash holds up to 63 bytes of the file
		m = p.s.box.Seal(m, []byte("spool "+fileSynced))
	}
	return m, nil
}

// readMarks takes up the mark that is whole and furthest. With none, or with one beyond
// the file's end, not a byte is known to be the client's, and the part starts over.
func (p *Part) readMarks() error {
	info, err := os.Stat(p.file(fileSource))
	if err != nil {
		return fmt.Errorf("spool: part %s: %w", p.ID, err)
	}
	p.hash = sha256.New()
	long := markSize
	if p.s.box != nil {
		long += sealed.Overhead
	}
	for i := range int64(2) {
		m := make([]byte, long)
		if _, err := p.marks.ReadAt(m, i*int64(long)); err != nil {
			if errors.Is(err, io.EOF) {
				continue
			}
			return fmt.Errorf("spool: part %s: %w", p.ID, err)
		}
		if p.s.box != nil {
			if m, err = p.s.box.Open(m, []byte("spool "+fileSynced)); err != nil || len(m) != markSize {
				continue // torn
			}
		}
		size := int64(binary.BigEndian.Uint64(m))
		if crc32.Checksum(m[:markSum], castagnoli) != binary.BigEndian.Uint32(m[markSum:]) || size < p.size || p.s.vault.OnDisk(size) > info.Size() {
			continue
		}
		h := sha256.New()
		if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(m[markHash : markHash+stateSize]); err != nil {
			continue // of another program; as good as torn
		}
		p.size, p.synced, p.marked, p.hash, p.turn = size, size, size, h, 1-i
	}
	return nil
}
