package ahead

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/vstack/vstack/internal/vfs"
)

// tempName is the spare's, and that of a file that Create makes without one.
const tempName = "next.tmp"

// Maker makes files of one size in one directory. Begin, Create and Close belong to
// one goroutine; Held to any.
type Maker struct {
	fs   vfs.FS
	dir  string
	size int64

	begun chan struct{} // closed when the attempt at a spare has ended; nil if there was none
	spare vfs.File      // behind begun: nil if it could not be made
	err   error         // behind begun: of the disk; a full one is none

	mu   sync.Mutex
	held int64
}

// New makes no file.
func New(fsys vfs.FS, dir string, size int64) *Maker {
	return &Maker{fs: fsys, dir: dir, size: size}
}

// Held is how many bytes the spare takes on disk.
func (m *Maker) Held() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

func (m *Maker) hold(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = n
}

// Begin makes the spare in the background if room, which is asked there, has no
// objection. Until the next Create further calls do nothing.
func (m *Maker) Begin(room func() error) {
	if m.begun != nil {
		return
	}
	done := make(chan struct{})
	m.begun = done
	go func() {
		defer close(done)
		if room() != nil {
			return
		}
		f, err := m.reserve()
		switch {
		case err == nil:
			m.spare = f
			m.hold(m.size)
		case !Full(err):
			m.err = err
		}
	}()
}

// Wait returns when no spare is being made.
func (m *Maker) Wait() {
	if m.begun != nil {
		<-m.begun
	}
}

// Create makes the file name, of the whole size, durably and all or nothing, with
// header at its beginning. It waits for a spare that is being made.
func (m *Maker) Create(name string, header []byte) (vfs.File, error) {
	m.Wait()
	f, err := m.spare, m.err
	m.begun, m.spare, m.err = nil, nil, nil
	defer m.hold(0)
	if err == nil && f == nil {
		f, err = m.reserve()
	}
	if err != nil {
		return nil, err
	}
	if err := m.publish(f, name, header); err != nil {
		_ = f.Close() // the first error is the one to tell
		m.discard()
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return f, nil
}

// publish gives f its header and then its name.
func (m *Maker) publish(f vfs.File, name string, header []byte) error {
	if _, err := f.WriteAt(header, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := m.fs.Rename(m.temp(), filepath.Join(m.dir, name)); err != nil {
		return err
	}
	if err := m.fs.SyncDir(m.dir); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// Close waits for the spare and gives its space back.
func (m *Maker) Close() error {
	m.Wait()
	m.begun = nil
	if m.spare == nil {
		return nil
	}
	err := m.spare.Close()
	m.spare = nil
	m.discard()
	m.hold(0)
	return err
}

func (m *Maker) temp() string { return filepath.Join(m.dir, tempName) }

// reserve makes a durable file of the whole size under the temporary name.
func (m *Maker) reserve() (vfs.File, error) {
	f, err := m.fs.OpenFile(m.temp(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", m.temp(), err)
	}
	if err = Reserve(f, m.size); err == nil {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Close() // as above
		m.discard()
		return nil, fmt.Errorf("reserve %d bytes for %s: %w", m.size, m.temp(), err)
	}
	return f, nil
}

// discard removes the temporary file. Nothing was acknowledged in it; what cannot be
// removed is overwritten by the next one, or removed by the next Open.
func (m *Maker) discard() { _ = m.fs.Remove(m.temp()) }

// Reserve gives f the space for size bytes, so that a sync need not journal the file's
// growth; where the file system cannot, f is as long but sparse.
func Reserve(f vfs.File, size int64) error {
	err := f.Preallocate(size)
	if errors.Is(err, errors.ErrUnsupported) {
		return f.Truncate(size)
	}
	return err
}

// Full reports whether err says that the disk has no room.
func Full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
