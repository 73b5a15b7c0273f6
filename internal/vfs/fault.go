package vfs

import (
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// Fault passes every call to an inner file system, counts it, and makes chosen ones
// fail. Reads and changes count alike, in one sequence, so that "the n-th call" names
// one call of a deterministic run.
type Fault struct {
	inner FS
	mu    sync.Mutex
	calls int
	byOp  map[string]int
	rule  Rule
	fired int
}

// Rule says which calls fail. The zero Rule fails none.
type Rule struct {
	// Nth fails the n-th matching call after the rule was set, from 1; 0 is never.
	Nth int
	// Sticky fails every later matching call too.
	Sticky bool
	// Op limits the rule to one operation: open, create, read, write, datasync, sync,
	// truncate, preallocate, rename, remove, mkdir, readdir, stat, syncdir, lock, free;
	// "" is all of them, "change" is all that change something or make it durable.
	Op string
	// Name limits the rule to names that contain it.
	Name string
	// Err is what the call returns.
	Err error
	// Short lets a failing write get half of its bytes out first.
	Short bool
}

// changing lists the operations that Op "change" matches.
const changing = " create write datasync sync truncate preallocate rename remove mkdir syncdir "

// NewFault wraps inner.
func NewFault(inner FS) *Fault { return &Fault{inner: inner, byOp: map[string]int{}} }

// Set replaces the rule and starts its count at 0.
func (f *Fault) Set(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule, f.calls, f.fired = r, 0, 0
}

// Matched is the number of calls that matched the rule since Set, failed or not.
func (f *Fault) Matched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Fired is the number of calls that failed since Set.
func (f *Fault) Fired() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// Calls is the number of calls of one operation since the beginning.
func (f *Fault) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byOp[op]
}

// check counts a call and returns the error it is to fail with.
func (f *Fault) check(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byOp[op]++
	r := f.rule
	change := r.Op == "change" && strings.Contains(changing, " "+op+" ")
	if r.Err == nil || (r.Op != "" && r.Op != op && !change) || !strings.Contains(name, r.Name) {
		return nil
	}
	f.calls++
	if r.Nth == 0 || f.calls < r.Nth || (f.calls > r.Nth && !r.Sticky) {
		return nil
	}
	f.fired++
	return &fs.PathError{Op: op, Path: name, Err: r.Err}
}

func (f *Fault) short() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rule.Short
}

func (f *Fault) Open(name string) (File, error) { return f.OpenFile(name, os.O_RDWR, 0) }
func (f *Fault) Create(name string) (File, error) {
	return f.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
}

func (f *Fault) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	op := "open"
	if flag&os.O_CREATE != 0 {
		op = "create"
	}
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	file, err := f.inner.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

func (f *Fault) Rename(oldname, newname string) error {
	if err := f.check("rename", newname); err != nil {
		return err
	}
	return f.inner.Rename(oldname, newname)
}

func (f *Fault) Remove(name string) error {
	if err := f.check("remove", name); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

func (f *Fault) MkdirAll(dir string, perm fs.FileMode) error {
	if err := f.check("mkdir", dir); err != nil {
		return err
	}
	return f.inner.MkdirAll(dir, perm)
}

func (f *Fault) ReadDir(dir string) ([]string, error) {
	if err := f.check("readdir", dir); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(dir)
}

func (f *Fault) Stat(name string) (fs.FileInfo, error) {
	if err := f.check("stat", name); err != nil {
		return nil, err
	}
	return f.inner.Stat(name)
}

func (f *Fault) SyncDir(dir string) error {
	if err := f.check("syncdir", dir); err != nil {
		return err
	}
	return f.inner.SyncDir(dir)
}

func (f *Fault) Lock(name string) (io.Closer, error) {
	if err := f.check("lock", name); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}

func (f *Fault) Free(dir string) (int64, error) {
	if err := f.check("free", dir); err != nil {
		return 0, err
	}
	return f.inner.Free(dir)
}

func (f *Fault) Device(dir string) (uint64, error) { return f.inner.Device(dir) }

// faultFile is a file of a Fault. Close, Size, NextData and Evict do not fail.
type faultFile struct {
	File
	fs   *Fault
	name string
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.check("write", f.name); err != nil {
		n := 0
		if f.fs.short() {
			n, _ = f.File.WriteAt(p[:len(p)/2], off) // the injected error is the one to tell
		}
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultFile) WritevAt(bufs [][]byte, off int64) (int64, error) {
	if err := f.fs.check("write", f.name); err != nil {
		var n int64
		if f.fs.short() {
			n, _ = f.File.WritevAt(bufs[:(len(bufs)+1)/2], off) // as above
		}
		return n, err
	}
	return f.File.WritevAt(bufs, off)
}

func (f *faultFile) Datasync() error {
	if err := f.fs.check("datasync", f.name); err != nil {
		return err
	}
	return f.File.Datasync()
}

func (f *faultFile) Sync() error {
	if err := f.fs.check("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.check("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Preallocate(size int64) error {
	if err := f.fs.check("preallocate", f.name); err != nil {
		return err
	}
	return f.File.Preallocate(size)
}
