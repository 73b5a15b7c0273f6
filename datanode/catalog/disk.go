package catalog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/vstack/vstack/internal/vstack"
)

// What the store of the view may take of memory, whatever the catalog has.
const (
	blockCache = 16 << 20
	memTable   = 8 << 20 // two at most
	openFiles  = 128
)

// disk is the view's rows.
type disk struct {
	*pebble.DB
	cache *pebble.Cache
}

// openDisk opens the rows in a directory, or begins them.
func openDisk(fsys vfs.FS, dir string, log pebble.Logger) (*disk, error) {
	opts := &pebble.Options{
		FS: fsys, Logger: log, FormatMajorVersion: pebble.FormatNewest, Cache: pebble.NewCache(blockCache),
		MemTableSize: memTable, MemTableStopWritesThreshold: 2, MaxOpenFiles: openFiles,
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		opts.Cache.Unref()
		return nil, fmt.Errorf("open the catalog view in %s: %w", dir, err)
	}
	return &disk{DB: db, cache: opts.Cache}, nil
}

func (d *disk) close() error {
	err := d.Close()
	d.cache.Unref()
	return err
}

// rottenName is the file beside the rows that says that some could not be read.
const rottenName = "ROTTEN"

// mark writes that file.
func mark(fsys vfs.FS, dir string) error {
	f, err := fsys.Create(fsys.PathJoin(dir, rottenName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("mark the catalog view as rotten: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// marked is an error if that file is there.
func marked(fsys vfs.FS, dir string) error {
	switch _, err := fsys.Stat(fsys.PathJoin(dir, rottenName)); {
	case err == nil:
		return rotten("the process before this one could not read its rows")
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return fmt.Errorf("look for the mark of a rotten catalog view: %w", err)
	}
}

// passing reports whether an error of opening says nothing of what is in the directory.
func passing(err error) bool {
	for _, e := range []error{fs.ErrPermission, syscall.EAGAIN, syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// reader is what rows are read from: the database, or a snapshot of it.
type reader interface {
	pebble.Reader
}

// get copies a row; nil if there is none.
func get(r reader, key []byte) ([]byte, error) {
	b, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the catalog view: %w", err)
	}
	out := append(make([]byte, 0, len(b)), b...)
	return out, closer.Close()
}

// each calls f for the rows of [lower, upper) until it answers false or an error. Key and value
// are f's until it returns.
func each(r reader, lower, upper []byte, f func(key, value []byte) (bool, error)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("read the catalog view: %w", err)
	}
	more := true
	for valid := it.First(); valid && more; valid = it.Next() {
		value, verr := it.ValueAndErr()
		if verr != nil {
			return errors.Join(fmt.Errorf("read the catalog view: %w", verr), it.Close())
		}
		if more, err = f(it.Key(), value); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil { // tells errors of the iteration, too
		return fmt.Errorf("read the catalog view: %w", err)
	}
	return nil
}

func getVideo(r reader, id vstack.VideoID) (v videoRow, known bool, err error) {
	b, err := get(r, videoKey(id))
	if err != nil || b == nil {
		return v, false, err
	}
	v, err = decodeVideo(b)
	return v, true, err
}

// decoded is the placement map that was read last, with the row that it was read from: every
// look at the view asks for it, and it changes seldom.
type decoded struct{ last atomic.Pointer[decodedMap] }

type decodedMap struct {
	row []byte
	m   *vstack.PlacementMap
}

// get is the map of a view, nil before the first; the caller must not change it.
func (d *decoded) get(r reader) (*vstack.PlacementMap, error) {
	b, err := get(r, []byte{rowPlacement})
	if err != nil || b == nil {
		return nil, err
	}
	if last := d.last.Load(); last != nil && bytes.Equal(last.row, b) {
		return last.m, nil
	}
	m := &vstack.PlacementMap{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, rotten("placement map: %v", err)
	}
	d.last.Store(&decodedMap{row: b, m: m})
	return m, nil
}

func getCount(r reader, pg vstack.PG) (uint64, error) {
	b, err := get(r, groupKey(pg))
	if err != nil || b == nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, rotten("count of group %d is %x", pg, b)
	}
	return binary.LittleEndian.Uint64(b), nil
}

// logger passes on what the database says; what it cannot go on after is fatal here, too.
type logger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("catalog view", "detail", fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("catalog view", "detail", fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf("catalog view: "+format, args...))
}
