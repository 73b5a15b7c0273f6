package superblock

import (
	"io/fs"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode/superblock/stamp"
	"github.com/vstack/vstack/internal/vfs"
)

// slowSpace is a disk on which reserving space takes until open is closed, from the
// second file on.
type slowSpace struct {
	vfs.FS
	asked chan struct{} // holds a value for each reservation begun
	open  chan struct{}
}

func (d *slowSpace) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	return &slowFile{File: f, disk: d}, err
}

type slowFile struct {
	vfs.File
	disk *slowSpace
}

func (f *slowFile) Preallocate(size int64) error {
	f.disk.asked <- struct{}{}
	<-f.disk.open
	return f.File.Preallocate(size)
}

// within runs do, and tells whether it took no longer than anyone would wait.
func within(do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		return true
	case <-time.After(10 * time.Second):
		return false
	}
}

// TestNoAppendWaitsForTheNextFile fills a file while the space for the next one is
// being reserved, and goes over to it while no more can be reserved.
func TestNoAppendWaitsForTheNextFile(t *testing.T) {
	disk := &slowSpace{FS: vfs.NewCrash(), asked: make(chan struct{}, 16), open: make(chan struct{}, 16)}
	defer close(disk.open)
	s := open(t, testConfig(t, disk, "/store"))
	defer func() {
		disk.open <- struct{}{}
		closeStore(t, s)
	}()
	disk.open <- struct{}{} // the first file's space
	next := uint64(0)
	fill := func(bytes int64) {
		for s.Stats().Written < bytes && !t.Failed() {
			next++
			if !within(func() { mustAppend(t, s, stored(payload(next, 8000))) }) {
				t.Error("an append waits for the next file's space")
				disk.open <- struct{}{}
			}
		}
	}
	size := s.cfg.SuperblockSize
	fill(size * 4 / 5)
	<-disk.asked
	if !within(func() { <-disk.asked }) {
		t.Error("the first file is nearly full, and no space is being reserved for the next")
		disk.asked <- struct{}{} // for the wait that was given up
	}
	disk.open <- struct{}{}
	if s.ahead.Wait(); s.ahead.Held() != size {
		t.Errorf("the spare holds %d bytes, want %d", s.ahead.Held(), size)
	}
	fill(size * 5 / 4)
	if got := s.Stats().Superblocks; got != 2 || len(disk.asked) != 0 {
		t.Errorf("%d files, %d more reservations, want 2 and none until the second is half full", got, len(disk.asked))
	}
}

func TestTheSpareCountsAsUsedAndAsFree(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	cfg.Capacity = 8 * cfg.SuperblockSize
	s := open(t, cfg)
	mustAppend(t, s, stored(payload(0, 1000)))
	before := s.Stats()
	for i := uint64(1); s.Stats().Written <= cfg.SuperblockSize/2; i++ {
		mustAppend(t, s, stored(payload(i, 8000)))
	}
	s.ahead.Wait()
	after := s.Stats()
	if after.Used != before.Used+cfg.SuperblockSize || after.Superblocks != 1 {
		t.Errorf("with a spare %d bytes are used by %d superblocks, want %d by 1", after.Used, after.Superblocks, before.Used+cfg.SuperblockSize)
	}
	// What was written, and no more, is gone from the free space.
	if lost, wrote := before.Free-after.Free, after.Written-before.Written; lost < wrote || lost > wrote+64<<10 {
		t.Errorf("%d bytes less are free after %d were written", lost, wrote)
	}
	closeStore(t, s)
	names, err := disk.ReadDir("/store")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if n != fileName(1) && n != stamp.File && n != lockName && n != bareKeyFile {
			t.Errorf("closed, and %s is left", n)
		}
	}
}
