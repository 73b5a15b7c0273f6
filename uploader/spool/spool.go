package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
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
}

// Open makes the directories, takes the lock, and throws away the parts that cannot be
// resumed: nobody was told that they had arrived. reserve is what stays free on the
// disk, in bytes.
func Open(dir string, reserve int64) (*Spool, error) {
	s := &Spool{dir: dir, reserve: reserve}
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

// readState reads a state file.
func readState(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxState {
		return nil, fmt.Errorf("%s: %w: %d bytes", path, vstack.ErrTooLarge, info.Size())
	}
	return os.ReadFile(path)
}

// writeState replaces a state file durably.
func writeState(path string, state []byte) error {
	return diskError(vfs.WriteFile(vfs.OS{}, path, state, 0o600))
}

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
