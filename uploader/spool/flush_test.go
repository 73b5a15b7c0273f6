package spool

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"syscall"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

// TestBytesArriveWhileOthersAreMadeDurable holds the disk up: what comes meanwhile is taken,
// and no mark says more than the disk has.
func TestBytesArriveWhileOthersAreMadeDurable(t *testing.T) {
	data := noise(2*markEvery + 5000)
	s := open(t, t.TempDir())
	held := make(chan struct{})
	begun := make(chan struct{}, 8)
	s.durable = func(w *source.Writer) error {
		begun <- struct{}{}
		<-held
		return w.Flush()
	}
	id := NewID()
	first := make(chan struct{})
	go func() { // the mark of nothing, of a new part
		<-begun
		held <- struct{}{}
		close(first)
	}()
	p, err := s.NewPart(id, []byte("about"))
	if err != nil {
		t.Fatal(err)
	}
	<-first
	put(t, p, data[:markEvery+1])
	<-begun
	put(t, p, data[markEvery+1:2*markEvery]) // returns, though the disk does not
	if size, _, err := s.Synced(id); err != nil || size != 0 {
		t.Errorf("%d bytes are said to be on a disk that stands still, %v", size, err)
	}
	close(held)
	put(t, p, data[2*markEvery:])
	if err := p.Close(); err != nil { // as a process that ends: nothing synced the tail
		t.Fatal(err)
	}
	size, _, err := s.Synced(id)
	if err != nil || size < markEvery+1 {
		t.Errorf("%d bytes are on disk, %v", size, err)
	}
	s = reopen(t, s)
	if p, err = s.OpenPart(id); err != nil || p.Size() != size {
		t.Fatalf("%d of %d, %v", p.Size(), size, err)
	}
	put(t, p, data[size:])
	if err := errors.Join(p.Sync(), p.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := content(s, p.Path())
	if err != nil || !bytes.Equal(got, data) || p.Sum() != sha256.Sum256(data) {
		t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
}

// TestADiskThatFailsAsideIsSaid fails a flush that nobody waits for: the next call tells, and
// what was acknowledged before stays.
func TestADiskThatFailsAsideIsSaid(t *testing.T) {
	data := noise(2 * markEvery)
	s := open(t, t.TempDir())
	id := NewID()
	p, err := s.NewPart(id, []byte("about"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, p, data[:1000])
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	s.durable = func(*source.Writer) error { return syscall.ENOSPC }
	put(t, p, data[1000:1000+markEvery])
	if err := p.Sync(); !errors.Is(err, vstack.ErrDiskFull) {
		t.Errorf("a full disk: %v", err)
	}
	s.durable = (*source.Writer).Flush // what it forgot is not there because it says so now
	if err := p.Sync(); !errors.Is(err, vstack.ErrDiskFull) {
		t.Errorf("once it has failed: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if p, err = s.OpenPart(id); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Size() != 1000 || p.Sum() != sha256.Sum256(data[:1000]) {
		t.Errorf("%d bytes were acknowledged, 1000 are there", p.Size())
	}
}
