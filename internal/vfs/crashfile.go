package vfs

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"

	"golang.org/x/sys/unix"
)

// sectorSize is what a disk writes whole or not at all, if it keeps its promises.
const sectorSize = 512

// maxVersions bounds the unsynced versions kept of one sector.
const maxVersions = 3

// inode is the content of one file: as written, and as synced. Sectors that differ,
// or may differ, are in dirty with the versions that the disk may have been given
// before the present one, oldest first.
type inode struct {
	data   []byte
	synced []byte
	dirty  map[int64][][]byte
}

// write copies p in; the old content of each touched sector becomes a version.
func (n *inode) write(p []byte, off int64) {
	end := off + int64(len(p))
	for s := off / sectorSize; s*sectorSize < end; s++ {
		n.touch(s)
	}
	if end > int64(len(n.data)) {
		n.data = append(n.data, make([]byte, end-int64(len(n.data)))...)
	}
	copy(n.data[off:end], p)
}

// touch remembers the present content of a sector as one that may survive.
func (n *inode) touch(sector int64) {
	if n.dirty == nil {
		n.dirty = map[int64][][]byte{}
	}
	if v := n.dirty[sector]; len(v) < maxVersions {
		n.dirty[sector] = append(v, sectorOf(n.data, sector))
	}
}

// truncate changes the size; what it cuts off may yet survive a crash.
func (n *inode) truncate(size int64) {
	old := int64(len(n.data))
	if size >= old {
		n.data = append(n.data, make([]byte, size-old)...)
		return
	}
	for s := size / sectorSize; s*sectorSize < old; s++ {
		n.touch(s)
	}
	n.data = n.data[:size:size]
}

// sync makes the content durable. A smaller size needs the full fsync: fdatasync may
// leave out what reading the data does not need.
func (n *inode) sync(full bool) {
	if !full && len(n.data) < len(n.synced) {
		copy(n.synced, n.data)
		n.dirty = nil
		return
	}
	if len(n.synced) > len(n.data) {
		n.synced = n.synced[:len(n.data)]
	}
	if extra := len(n.data) - len(n.synced); extra > 0 {
		from := len(n.synced)
		n.synced = append(n.synced, make([]byte, extra)...)
		copy(n.synced[from:], n.data[from:])
	}
	for s := range n.dirty {
		if lo := s * sectorSize; lo < int64(len(n.data)) {
			hi := min(lo+sectorSize, int64(len(n.data)))
			copy(n.synced[lo:hi], n.data[lo:hi])
		}
	}
	n.dirty = nil
}

// crash returns one content that the disk may hold after a power loss.
func (n *inode) crash(rng *rand.Rand) *inode {
	size := int64(len(n.data))
	if was := int64(len(n.synced)); was != size {
		switch rng.IntN(3) {
		case 0:
			size = was
		case 1: // somewhere between, whole sectors as a growing file does
			lo, hi := min(was, size), max(was, size)
			size = min(hi, lo+(rng.Int64N(hi-lo+1)+sectorSize-1)/sectorSize*sectorSize)
		}
	}
	out := make([]byte, size)
	copy(out, n.synced)
	mood := rng.IntN(4) // nearly all kept, nearly all lost, or a mix
	for _, s := range sortedSectors(n.dirty) {
		lo := s * sectorSize
		if lo >= size {
			continue
		}
		copy(out[lo:min(lo+sectorSize, size)], n.survivor(s, mood, rng))
	}
	return &inode{data: out, synced: slices.Clone(out)}
}

// survivor picks what one unsynced sector holds after a crash.
func (n *inode) survivor(s int64, mood int, rng *rand.Rand) []byte {
	now, before := sectorOf(n.data, s), sectorOf(n.synced, s)
	keep := [4]int{50, 95, 5, 100}[mood]
	switch roll := rng.IntN(100); {
	case roll < keep:
		return now
	case roll%4 == 0: // an older unsynced version
		v := n.dirty[s]
		return v[rng.IntN(len(v))]
	case roll%4 == 1: // torn inside the sector
		cut := rng.IntN(sectorSize)
		return append(slices.Clone(now[:cut]), before[cut:]...)
	}
	return before
}

func sortedSectors(m map[int64][][]byte) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// sectorOf copies one sector; bytes beyond the end are zero.
func sectorOf(data []byte, s int64) []byte {
	out := make([]byte, sectorSize)
	if lo := s * sectorSize; lo < int64(len(data)) {
		copy(out, data[lo:])
	}
	return out
}

// crashFile is an open file of a Crash.
type crashFile struct {
	fs     *Crash
	node   *inode
	name   string
	closed bool
}

// enter locks the file system, or tells that the file is closed.
func (f *crashFile) enter(op string) error {
	f.fs.mu.Lock()
	if f.closed {
		f.fs.mu.Unlock()
		return pathError(op, f.name, fs.ErrClosed)
	}
	return nil
}

func (f *crashFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	if off < 0 {
		return 0, pathError("read", f.name, fs.ErrInvalid)
	}
	if off >= int64(len(f.node.data)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *crashFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.before("write", f.name)
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	if off < 0 {
		return 0, pathError("write", f.name, fs.ErrInvalid)
	}
	if err := f.room(off + int64(len(p))); err != nil {
		return 0, err
	}
	f.node.write(p, off)
	return len(p), nil
}

// room checks the limit for a file that is to have size bytes. The caller holds mu.
func (f *crashFile) room(size int64) error {
	if grow := size - int64(len(f.node.data)); f.fs.limit > 0 && grow > 0 && f.fs.used()+grow > f.fs.limit {
		return pathError("write", f.name, unix.ENOSPC)
	}
	return nil
}

func (f *crashFile) WritevAt(bufs [][]byte, off int64) (int64, error) {
	var done int64
	for _, b := range bufs {
		n, err := f.WriteAt(b, off+done)
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (f *crashFile) Datasync() error { return f.sync("datasync", false) }
func (f *crashFile) Sync() error     { return f.sync("sync", true) }

func (f *crashFile) sync(op string, full bool) error {
	f.fs.before(op, f.name)
	if err := f.enter(op); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.node.sync(full)
	return nil
}

func (f *crashFile) Truncate(size int64) error {
	f.fs.before("truncate", f.name)
	if err := f.enter("truncate"); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	if size < 0 {
		return pathError("truncate", f.name, fs.ErrInvalid)
	}
	f.node.truncate(size)
	return nil
}

func (f *crashFile) Preallocate(size int64) error {
	f.fs.before("preallocate", f.name)
	if err := f.enter("preallocate"); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	if err := f.room(size); err != nil {
		return err
	}
	if size > int64(len(f.node.data)) {
		f.node.truncate(size)
	}
	return nil
}

func (f *crashFile) Size() (int64, error) {
	if err := f.enter("size"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), nil
}

func (f *crashFile) NextData(off int64) (int64, error) {
	if err := f.enter("seek"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	for i := max(off, 0); i < int64(len(f.node.data)); i++ {
		if f.node.data[i] != 0 {
			return i, nil
		}
	}
	return int64(len(f.node.data)), nil
}

func (f *crashFile) Evict() error { return nil }

func (f *crashFile) Close() error {
	if err := f.enter("close"); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.closed = true
	return nil
}
