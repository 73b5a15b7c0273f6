package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

const (
	dirIncoming = "incoming"
	dirJobs     = "jobs"
	dirDone     = "done"
	fileSource  = "source"
	fileAbout   = "about"
	fileSynced  = "synced"
	fileJob     = "job.json"
	fileLock    = "lock"
)

// maxState bounds a state file, in bytes.
const maxState = 1 << 20

// Spool is an open spool. Its methods are safe for concurrent use; two calls about one
// part or one job are not.
type Spool struct {
	dir     string
	reserve int64
	lock    *os.File
	vault   source.Vault
	box     *sealed.Box // nil: the spool is not encrypted
	durable func(*source.Writer) error
}

// Open makes the directories, takes the lock, and throws away the parts that cannot be
// resumed: nobody was told that they had arrived. reserve is what stays free on the
// disk, in bytes. With a key all of it is encrypted.
func Open(dir string, reserve int64, key *sealed.Key) (*Spool, error) {
	s := &Spool{dir: dir, reserve: reserve, vault: source.Vault{Key: key}, durable: (*source.Writer).Flush}
	if key != nil {
		var err error
		if s.box, err = sealed.NewBox(key); err != nil {
			return nil, fmt.Errorf("open spool: %w", err)
		}
	}
	for _, d := range []string{dir, s.path(dirIncoming), s.path(dirJobs), s.path(dirDone), s.path(dirTexts)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open spool: %w", err)
		}
	}
	lock, err := os.OpenFile(s.path(fileLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open spool %s: %w: another process holds it: %w", dir, vstack.ErrAlreadyExists, err)
	}
	s.lock = lock
	if err := s.clearIncoming(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open spool: clear %s: %w", dirIncoming, err)
	}
	return s, nil
}

// Close gives the lock back.
func (s *Spool) Close() error { return s.lock.Close() }

func (s *Spool) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// Free returns the bytes that may still be written with the reserve left.
func (s *Spool) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("free space of spool: %w", err)
	}
	return int64(st.Bavail)*int64(st.Bsize) - s.reserve, nil
}

// Room reports ErrDiskFull when size more bytes do not fit.
func (s *Spool) Room(size int64) error {
	free, err := s.Free()
	if err != nil {
		return err
	}
	if size > free {
		return fmt.Errorf("spool: %w: %d bytes wanted, %d free beside the reserve", vstack.ErrDiskFull, size, max(free, 0))
	}
	return nil
}

// kind is what a small file is, which its note is bound to: the spool moves directories.
func kind(path string) []byte {
	name := filepath.Base(path)
	if filepath.Ext(name) == ".json" && name != fileJob {
		name = dirDone
	}
	return []byte("spool " + name)
}

// readState reads a state file.
func (s *Spool) readState(path string) ([]byte, error) {
	b, err := s.box.ReadFile(vfs.OS{}, path, kind(path), maxState)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// writeState replaces a state file durably.
func (s *Spool) writeState(path string, state []byte) error {
	return diskError(s.box.WriteFile(vfs.OS{}, path, state, kind(path), 0o600))
}

// Vault opens the files of jobs and parts.
func (s *Spool) Vault() source.Vault { return s.vault }

func syncDir(dir string) error {
	if err := (vfs.OS{}).SyncDir(dir); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// diskError gives a full disk its sentinel.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", vstack.ErrDiskFull, err)
	}
	return err
}
