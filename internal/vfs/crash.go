package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Crash is a file system in memory that can lose power. It keeps what is durable
// apart from what is merely written, and its method Crash gives back a machine's
// view after a power loss, as a new Crash.
//
// Content is lost by sector: after a crash each sector written since the last sync
// holds any of its versions, or a mix of two. Names are lost by directory: of the
// creations, renames and removals since the last SyncDir a prefix survives.
type Crash struct {
	mu      sync.Mutex
	live    map[string]*inode
	durable map[string]*inode
	dirs    map[string]bool    // all that MkdirAll made; directories themselves do not get lost
	pending map[string][]dirOp // by directory, since its last SyncDir
	locks   map[string]bool
	hook    func(op string, name string)
	limit   int64 // bytes of content; 0 is unlimited
}

// dirOp is a change of one directory: name now is node, or is gone. A rename within a
// directory is one dirOp with both sides, since journals keep it whole.
type dirOp struct {
	sets map[string]*inode
}

// NewCrash returns an empty file system with the directory "/".
func NewCrash() *Crash {
	return &Crash{
		live: map[string]*inode{}, durable: map[string]*inode{},
		dirs: map[string]bool{"/": true, ".": true}, pending: map[string][]dirOp{}, locks: map[string]bool{},
	}
}

// OnWrite sets a hook that is called before every operation that changes something
// or makes it durable, with no lock held: the place to call Crash from. Set it before
// use.
func (c *Crash) OnWrite(hook func(op, name string)) { c.hook = hook }

// Limit bounds the bytes of all files; beyond it writes give ENOSPC.
func (c *Crash) Limit(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = bytes
}

// Crash returns what a machine could find after losing power now. The receiver goes
// on as if nothing had happened; open files and locks do not exist in the clone.
func (c *Crash) Crash(rng *rand.Rand) *Crash {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := NewCrash()
	maps.Copy(out.dirs, c.dirs)
	names := maps.Clone(c.durable)
	for _, dir := range slices.Sorted(maps.Keys(c.pending)) {
		ops := c.pending[dir]
		for _, op := range ops[:rng.IntN(len(ops)+1)] {
			apply(names, op)
		}
	}
	clones := map[*inode]*inode{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		node := names[name]
		if clones[node] == nil {
			clones[node] = node.crash(rng)
		}
		out.live[name] = clones[node]
		out.durable[name] = clones[node]
	}
	return out
}

// Clone returns a copy of everything as written, durable or not: what a process finds
// that was killed and restarted while the machine went on. All of it counts as synced.
func (c *Crash) Clone() *Crash {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := NewCrash()
	maps.Copy(out.dirs, c.dirs)
	for name, node := range c.live {
		cp := &inode{data: slices.Clone(node.data), synced: slices.Clone(node.data)}
		out.live[name], out.durable[name] = cp, cp
	}
	return out
}

func apply(names map[string]*inode, op dirOp) {
	for name, node := range op.sets {
		if node == nil {
			delete(names, name)
		} else {
			names[name] = node
		}
	}
}

// before runs the hook.
func (c *Crash) before(op, name string) {
	if c.hook != nil {
		c.hook(op, name)
	}
}

func (c *Crash) Open(name string) (File, error) { return c.OpenFile(name, os.O_RDWR, 0) }
func (c *Crash) Create(name string) (File, error) {
	return c.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
}

func (c *Crash) OpenFile(name string, flag int, _ fs.FileMode) (File, error) {
	name = filepath.Clean(name)
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		c.before("create", name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.live[name]
	switch {
	case node == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, fs.ErrNotExist)
	case node != nil && flag&os.O_EXCL != 0:
		return nil, pathError("open", name, fs.ErrExist)
	case node == nil && !c.dirs[filepath.Dir(name)]:
		return nil, pathError("open", name, fs.ErrNotExist)
	case node == nil:
		node = &inode{}
		c.changeDir(filepath.Dir(name), dirOp{sets: map[string]*inode{name: node}})
	case flag&os.O_TRUNC != 0:
		node.truncate(0)
	}
	return &crashFile{fs: c, node: node, name: name}, nil
}

// changeDir applies op now and remembers it as not durable. The caller holds mu.
func (c *Crash) changeDir(dir string, op dirOp) {
	apply(c.live, op)
	c.pending[dir] = append(c.pending[dir], op)
}

func (c *Crash) Rename(oldname, newname string) error {
	oldname, newname = filepath.Clean(oldname), filepath.Clean(newname)
	c.before("rename", newname)
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.live[oldname]
	if node == nil {
		return pathError("rename", oldname, fs.ErrNotExist)
	}
	if filepath.Dir(oldname) != filepath.Dir(newname) {
		return pathError("rename", newname, fmt.Errorf("between directories: %w", fs.ErrInvalid))
	}
	c.changeDir(filepath.Dir(newname), dirOp{sets: map[string]*inode{oldname: nil, newname: node}})
	return nil
}

func (c *Crash) Remove(name string) error {
	name = filepath.Clean(name)
	c.before("remove", name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[name] == nil {
		return pathError("remove", name, fs.ErrNotExist)
	}
	c.changeDir(filepath.Dir(name), dirOp{sets: map[string]*inode{name: nil}})
	return nil
}

func (c *Crash) MkdirAll(dir string, _ fs.FileMode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d := filepath.Clean(dir); !c.dirs[d]; d = filepath.Dir(d) {
		c.dirs[d] = true
	}
	return nil
}

func (c *Crash) ReadDir(dir string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir = filepath.Clean(dir)
	if !c.dirs[dir] {
		return nil, pathError("readdir", dir, fs.ErrNotExist)
	}
	var names []string
	for name := range c.live {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	for d := range c.dirs {
		if d != dir && filepath.Dir(d) == dir {
			names = append(names, filepath.Base(d))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (c *Crash) Stat(name string) (fs.FileInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name = filepath.Clean(name)
	if c.dirs[name] {
		return crashInfo{name: filepath.Base(name), dir: true}, nil
	}
	node := c.live[name]
	if node == nil {
		return nil, pathError("stat", name, fs.ErrNotExist)
	}
	return crashInfo{name: filepath.Base(name), size: int64(len(node.data))}, nil
}

func (c *Crash) SyncDir(dir string) error {
	dir = filepath.Clean(dir)
	c.before("syncdir", dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirs[dir] {
		return pathError("syncdir", dir, fs.ErrNotExist)
	}
	for _, op := range c.pending[dir] {
		apply(c.durable, op)
	}
	delete(c.pending, dir)
	return nil
}

func (c *Crash) Lock(name string) (io.Closer, error) {
	name = filepath.Clean(name)
	f, err := c.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.locks[name] {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	c.locks[name] = true
	return &crashLock{fs: c, name: name, file: f}, nil
}

// Device is the same everywhere: a Crash is one disk.
func (c *Crash) Device(string) (uint64, error) { return 1, nil }

func (c *Crash) Free(string) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit == 0 {
		return 1 << 50, nil
	}
	return max(0, c.limit-c.used()), nil
}

// used sums the sizes of all named files. The caller holds mu.
func (c *Crash) used() int64 {
	var n int64
	for _, node := range c.live {
		n += int64(len(node.data))
	}
	return n
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: strings.TrimSuffix(name, "/"), Err: err}
}

type crashLock struct {
	fs   *Crash
	name string
	file File
}

func (l *crashLock) Close() error {
	l.fs.mu.Lock()
	delete(l.fs.locks, l.name)
	l.fs.mu.Unlock()
	return l.file.Close()
}

type crashInfo struct {
	name string
	size int64
	dir  bool
}

func (i crashInfo) Name() string       { return i.name }
func (i crashInfo) Size() int64        { return i.size }
func (i crashInfo) ModTime() time.Time { return time.Time{} }
func (i crashInfo) IsDir() bool        { return i.dir }
func (i crashInfo) Sys() any           { return nil }
func (i crashInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o750
	}
	return 0o640
}
