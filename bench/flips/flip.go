package flips

import (
	"errors"
	"fmt"
	"os"
)

// flipped is a byte that was changed.
type flipped struct {
	Place
	file os.FileInfo // to know the file again
	was  byte
	now  byte

	read, scrubbed bool // reported by a read, by a scrub
}

// flip inverts one bit of the byte at p, in place, beside the process that has the file
// open.
func flip(p Place, bit uint) (*flipped, error) {
	f, err := os.OpenFile(p.File, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("flip %s: %w", p, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("flip %s: %w", p, err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], p.Offset); err != nil {
		return nil, fmt.Errorf("flip %s: %w", p, err)
	}
	d := &flipped{Place: p, file: info, was: b[0], now: b[0] ^ 1<<(bit%8)}
	b[0] = d.now
	if _, err := f.WriteAt(b[:], p.Offset); err != nil {
		return nil, fmt.Errorf("flip %s: %w", p, err)
	}
	return d, nil
}

// gone reports whether the store has given up the file.
func (d *flipped) gone() bool {
	info, err := os.Stat(d.File)
	return err != nil || !os.SameFile(info, d.file)
}

// restore puts the byte back, unless the store has given up the file or has written
// something else there.
func (d *flipped) restore() error {
	f, err := os.OpenFile(d.File, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", d.Place, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("restore %s: %w", d.Place, err)
	}
	if !os.SameFile(info, d.file) || info.Size() <= d.Offset {
		return nil
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], d.Offset); err != nil {
		return fmt.Errorf("restore %s: %w", d.Place, err)
	}
	if b[0] != d.now {
		return nil
	}
	b[0] = d.was
	if _, err := f.WriteAt(b[:], d.Offset); err != nil {
		return fmt.Errorf("restore %s: %w", d.Place, err)
	}
	return nil
}

// Finding is damage that the store has reported.
type Finding struct {
	File           string
	Offset, Length int64
}

// covers reports whether the finding is about the place.
func (f Finding) covers(p Place) bool {
	return f.File == p.File && p.Offset >= f.Offset && p.Offset < f.Offset+f.Length
}
