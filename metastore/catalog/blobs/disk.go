package blobs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/vstack/vstack/internal/cipherfs"
	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

// What the database takes of memory, whatever the catalog has.
const (
	blockCache = 16 << 20
	memTable   = 8 << 20
	memTables  = 4 // before Put waits for the disk
	openFiles  = 256
)

// format is the database's form on the disk. It is named, and not the library's newest: a
// program of before must be able to open it while the feature level stays.
const format = pebble.FormatValueSeparation

// damagedName is the file beside the database that says that some of it could not be read.
const damagedName = "DAMAGED"

// maxWhy bounds that file, in bytes.
const maxWhy = 4096

// Config is what a store on the disk needs.
type Config struct {
	// Dir is made if it is not there. Required.
	Dir string
	// Key encrypts it; nil for a directory that is not encrypted.
	Key *sealed.Key
	// FS has the directory. Default: the operating system's.
	FS vfs.FS
	// Fatal is told of what the process must not survive. Required unless ReadOnly.
	Fatal func(error)
	// Logger. Default slog.Default().
	Logger *slog.Logger
	// ReadOnly opens what is there, if only nothing, and changes nothing.
	ReadOnly bool
}

func (c *Config) fs() vfs.FS {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Key == nil {
		return c.FS
	}
	return cipherfs.New(c.FS, c.Key, "")
}

// New makes a store on the disk that is to be opened.
func New(cfg Config) (*Store, error) {
	if cfg.Dir == "" || cfg.Fatal == nil && !cfg.ReadOnly {
		return nil, fmt.Errorf("manifests: %w: Dir and Fatal are required", vstack.ErrInvalid)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Fatal == nil {
		cfg.Fatal = func(error) {}
	}
	return &Store{cfg: cfg, orphans: map[Digest]uint64{}}, nil
}

// Open opens what is in the directory, or begins it. ErrManifestsLost says that a process
// before this one could not read what it had.
func (s *Store) Open() error {
	d := &disk{fs: s.cfg.fs(), dir: s.cfg.Dir}
	k := keeper(d)
	err := d.judge()
	if err == nil && s.cfg.ReadOnly {
		var there *pebble.DBDesc
		there, err = pebble.Peek(d.dir, d.fs)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !there.Exists {
			k, err = newMemory(), nil
		}
	}
	if err == nil && k == d {
		err = d.open(s.cfg)
	}
	if err == nil {
		err = s.begin(k)
	}
	if err != nil {
		return fmt.Errorf("open the manifests in %s: %w", s.cfg.Dir, err)
	}
	return nil
}

// disk keeps blobs in a database.
type disk struct {
	fs    vfs.FS
	dir   string
	cache *pebble.Cache

	mu sync.RWMutex // held while db is in use
	db *pebble.DB   // nil once closed
}

func (d *disk) open(cfg Config) error {
	if !cfg.ReadOnly {
		if err := d.fs.MkdirAll(d.dir, 0o700); err != nil {
			return err
		}
	}
	d.cache = pebble.NewCache(blockCache)
	opts := &pebble.Options{
		FS: d.fs, Logger: logger{cfg.Logger, cfg.Fatal}, FormatMajorVersion: format, Cache: d.cache, DisableWAL: true, ReadOnly: cfg.ReadOnly,
		MemTableSize: memTable, MemTableStopWritesThreshold: memTables, MaxOpenFiles: openFiles,
		EventListener: &pebble.EventListener{BackgroundError: func(err error) {
			if !errors.Is(err, pebble.ErrCancelledCompaction) { // what it would have written, another one does
				cfg.Fatal(fmt.Errorf("write the manifests in %s: %w", d.dir, err))
			}
		}},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	var err error
	if d.db, err = pebble.Open(d.dir, opts); err != nil {
		d.cache.Unref()
		if pebble.IsCorruptionError(err) {
			err = fmt.Errorf("%w: %w", vstack.ErrManifestsLost, err)
		}
	}
	return err
}

func key(kind byte, d Digest) []byte { return append([]byte{kind}, d[:]...) }

// Kinds of keys.
const (
	keyBlob = 'b'
	keySize = 'k'
)

var errClosed = fmt.Errorf("manifests: %w", vstack.ErrClosed)

func (d *disk) set(of Digest, blob []byte) error {
	return d.write(func(b *pebble.Batch) error {
		return errors.Join(b.Set(key(keyBlob, of), blob, nil), b.Set(key(keySize, of), binary.LittleEndian.AppendUint32(nil, uint32(len(blob))), nil))
	})
}

func (d *disk) remove(ds []Digest) error {
	return d.write(func(b *pebble.Batch) error {
		for _, of := range ds {
			if err := errors.Join(b.Delete(key(keyBlob, of), nil), b.Delete(key(keySize, of), nil)); err != nil {
				return err
			}
		}
		return nil
	})
}

// write commits one batch, without a sync.
func (d *disk) write(fill func(*pebble.Batch) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return errClosed
	}
	b := d.db.NewBatch()
	err := fill(b)
	if err == nil {
		err = b.Commit(pebble.NoSync)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("write manifests: %w", err)
	}
	return nil
}

func (d *disk) get(of Digest) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return nil, errClosed
	}
	b, closer, err := d.db.Get(key(keyBlob, of))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", vstack.ErrManifestsLost, err)
	}
	out := append(make([]byte, 0, len(b)), b...)
	return out, closer.Close()
}

func (d *disk) sizes(yield func(Digest, uint32)) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return errClosed
	}
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keySize}, UpperBound: []byte{keySize + 1}})
	if err != nil {
		return fmt.Errorf("list manifests: %w", err)
	}
	for valid := it.First(); valid && err == nil; valid = it.Next() {
		var of Digest
		if v := it.Value(); copy(of[:], it.Key()[1:]) == len(of) && len(v) == 4 {
			yield(of, binary.LittleEndian.Uint32(v))
		} else {
			err = fmt.Errorf("list manifests: %w: a row %x of %d bytes", vstack.ErrManifestsLost, it.Key(), len(v))
		}
	}
	if cerr := it.Close(); err == nil && cerr != nil { // tells errors of the iteration, too
		err = fmt.Errorf("list manifests: %w: %w", vstack.ErrManifestsLost, cerr)
	}
	return err
}

func (d *disk) sync() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return errClosed
	}
	if err := d.db.Flush(); err != nil {
		return fmt.Errorf("bring manifests to the disk: %w", err)
	}
	return nil
}

func (d *disk) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return nil
	}
	err := d.db.Close()
	d.db = nil
	d.cache.Unref()
	if err != nil {
		return fmt.Errorf("close the manifests: %w", err)
	}
	return nil
}

// damaged writes the mark.
func (d *disk) damaged(why error) error {
	f, err := d.fs.Create(d.fs.PathJoin(d.dir, damagedName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("mark the manifests as damaged: %w", err)
	}
	text := why.Error()
	_, err = f.Write([]byte(text[:min(len(text), maxWhy)]))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		var dir vfs.File
		if dir, err = d.fs.OpenDir(d.dir); err == nil {
			err = errors.Join(dir.Sync(), dir.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("mark the manifests as damaged: %w", err)
	}
	return nil
}

// judge is an error if the mark is there.
func (d *disk) judge() error {
	f, err := d.fs.Open(d.fs.PathJoin(d.dir, damagedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	why, err := io.ReadAll(io.LimitReader(f, maxWhy))
	return errors.Join(fmt.Errorf("%w: the process before this one said: %s", vstack.ErrManifestsLost, why), err, f.Close())
}

// logger passes on what the database says; what it cannot go on after is fatal here, too.
type logger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("manifests", "detail", fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("manifests", "detail", fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf("manifests: "+format, args...))
}
