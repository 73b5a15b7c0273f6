package spool

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	dirTexts = "texts"
	// maxTexts bounds the texts that wait for the films they belong to.
	maxTexts = 1024
	// maxText bounds one that is read, in bytes: what is put was bounded by who put it.
	maxText = 64 << 20
)

// PutText keeps a small text that belongs to a film, under its SHA-256, durably. Texts
// that nobody used for as long as keep go first.
func (s *Spool) PutText(data []byte, keep time.Duration) (vstack.ChunkID, error) {
	id := vstack.ChunkID(sha256.Sum256(data))
	if err := s.Room(int64(len(data))); err != nil {
		return id, err
	}
	n, err := s.sweepTexts(keep)
	if err != nil {
		return id, fmt.Errorf("spool: texts: %w", err)
	}
	if n >= maxTexts {
		return id, fmt.Errorf("spool: %w: %d texts wait for their films", vstack.ErrTooManyUploads, n)
	}
	if err := s.box.WriteFile(vfs.OS{}, s.text(id), data, []byte("spool "+dirTexts), 0o600); err != nil {
		return id, diskError(fmt.Errorf("spool: keep text: %w", err))
	}
	return id, nil
}

// Text reads a text and counts that as a use of it. One that is not there is ErrNotFound.
func (s *Spool) Text(id vstack.ChunkID) ([]byte, error) {
	b, err := s.box.ReadFile(vfs.OS{}, s.text(id), []byte("spool "+dirTexts), maxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("spool: text %s: %w", id.Short(), vstack.ErrNotFound)
	}
	if err == nil {
		now := time.Now()
		err = os.Chtimes(s.text(id), now, now)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: text: %w", err)
	}
	return b, nil
}

func (s *Spool) text(id vstack.ChunkID) string { return s.path(dirTexts, id.String()) }

// sweepTexts removes what is older than keep and counts the rest.
func (s *Spool) sweepTexts(keep time.Duration) (left int, err error) {
	entries, err := os.ReadDir(s.path(dirTexts))
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return 0, err
		case time.Since(info.ModTime()) > keep:
			if err := os.Remove(s.path(dirTexts, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return 0, err
			}
		default:
			left++
		}
	}
	return left, nil
}
