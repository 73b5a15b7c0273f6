package uploader

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vstack"
)

// Names inside the spool. Every other part of a path is an identifier that this
// process made or parsed.
//
//	DIR/lock                held while a process owns the spool
//	DIR/incoming/RANDOM/    a file that is being received; emptied at start
//	DIR/jobs/UPLOAD/source  the file
//	DIR/jobs/UPLOAD/job.json
//	DIR/done/UPLOAD.json    the last state of an ended job, for its readers
const (
	dirIncoming = "incoming"
	dirJobs     = "jobs"
	dirDone     = "done"
	fileSource  = "source"
	fileJob     = "job.json"
	fileLock    = "lock"
)

// maxRecord bounds a job's state file, in bytes.
const maxRecord = 1 << 20

// spool is the directory where files wait for their jobs.
type spool struct {
	dir     string
	reserve int64
	lock    *os.File
}

// openSpool makes the directories, takes the lock, and throws away what was being
// received when the last process ended: nobody was told that it had arrived.
func openSpool(dir string, reserve int64) (*spool, error) {
	s := &spool{dir: dir, reserve: reserve}
	for _, d := range []string{dir, s.path(dirIncoming), s.path(dirJobs), s.path(dirDone)} {
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
	left, err := os.ReadDir(s.path(dirIncoming))
	for _, e := range left {
		err = errors.Join(err, os.RemoveAll(s.path(dirIncoming, e.Name())))
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("open spool: clear %s: %w", dirIncoming, err)
	}
	return s, nil
}

func (s *spool) close() error { return s.lock.Close() }

func (s *spool) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s *spool) jobDir(id vstack.UploadID) string { return s.path(dirJobs, id.String()) }

func (s *spool) source(id vstack.UploadID) string { return filepath.Join(s.jobDir(id), fileSource) }

// free returns the bytes that may still be written with the reserve left.
func (s *spool) free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("free space of spool: %w", err)
	}
	return int64(st.Bavail)*int64(st.Bsize) - s.reserve, nil
}

// room reports ErrDiskFull when size more bytes do not fit.
func (s *spool) room(size int64) error {
	free, err := s.free()
	if err != nil {
		return err
	}
	if size > free {
		return fmt.Errorf("spool: %w: %d bytes wanted, %d free beside the reserve", vstack.ErrDiskFull, size, max(free, 0))
	}
	return nil
}

// newIncoming makes a directory for a file that is about to be received.
func (s *spool) newIncoming() (string, error) {
	dir := s.path(dirIncoming, uuid.NewString())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", diskError(fmt.Errorf("spool: %w", err))
	}
	return dir, nil
}

// adopt makes a received file a job: its state is written beside it, then the directory
// moves to its place in one step. What a former process left of the same upload goes.
func (s *spool) adopt(dir string, rec record) error {
	if err := writeRecord(filepath.Join(dir, fileJob), rec); err != nil {
		return err
	}
	to := s.jobDir(rec.Upload.ID)
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := os.Rename(dir, to); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return errors.Join(syncDir(s.path(dirJobs)), syncDir(s.path(dirIncoming)))
}

// save writes the state of a job that goes on.
func (s *spool) save(rec record) error {
	return writeRecord(filepath.Join(s.jobDir(rec.Upload.ID), fileJob), rec)
}

// finish keeps an ended job's state for its readers and removes its file.
func (s *spool) finish(rec record) error {
	if err := writeRecord(s.path(dirDone, rec.Upload.ID.String()+".json"), rec); err != nil {
		return err
	}
	if err := os.RemoveAll(s.jobDir(rec.Upload.ID)); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return syncDir(s.path(dirJobs))
}

// forget drops the state of an ended job.
func (s *spool) forget(id vstack.UploadID) error {
	err := os.Remove(s.path(dirDone, id.String()+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// load reads the states of all jobs: those that go on and those that have ended. A
// directory without a readable state was never answered for, and is removed.
func (s *spool) load() (open, done []record, err error) {
	entries, err := os.ReadDir(s.path(dirJobs))
	if err != nil {
		return nil, nil, fmt.Errorf("read spool: %w", err)
	}
	for _, e := range entries {
		rec, err := readRecord(s.path(dirJobs, e.Name(), fileJob))
		if err == nil && rec.Upload.ID.String() == e.Name() {
			open = append(open, rec)
			continue
		}
		if err := os.RemoveAll(s.path(dirJobs, e.Name())); err != nil {
			return nil, nil, fmt.Errorf("read spool: %w", err)
		}
	}
	if entries, err = os.ReadDir(s.path(dirDone)); err != nil {
		return nil, nil, fmt.Errorf("read spool: %w", err)
	}
	for _, e := range entries {
		rec, err := readRecord(s.path(dirDone, e.Name()))
		if err != nil {
			_ = os.Remove(s.path(dirDone, e.Name())) // a torn leftover that nobody misses
			continue
		}
		done = append(done, rec)
	}
	slices.SortFunc(done, func(a, b record) int { return a.Job.Updated.Compare(b.Job.Updated) })
	return open, done, nil
}

func readRecord(path string) (record, error) {
	info, err := os.Stat(path)
	if err != nil {
		return record{}, fmt.Errorf("read job: %w", err)
	}
	if info.Size() > maxRecord {
		return record{}, fmt.Errorf("read job %s: %w: %d bytes", path, vstack.ErrTooLarge, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return record{}, fmt.Errorf("read job: %w", err)
	}
	return decodeRecord(b)
}

// decodeRecord reads a state file; a version that this program does not know is an error.
func decodeRecord(b []byte) (record, error) {
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil {
		return record{}, fmt.Errorf("read job: %w: %w", vstack.ErrInvalid, err)
	}
	if rec.Version != recordVersion || rec.Upload.ID.IsZero() || rec.Upload.Video.IsZero() {
		return record{}, fmt.Errorf("read job: %w: version %d, upload %s", vstack.ErrInvalid, rec.Version, rec.Upload.ID)
	}
	return rec, nil
}

// writeRecord replaces a state file durably: temporary file, fsync, rename, fsync of
// the directory.
func writeRecord(path string, rec record) (err error) {
	b, err := json.MarshalIndent(rec, "", " ")
	if err != nil {
		return fmt.Errorf("write job: %w", err)
	}
	tmp := path + ".tmp"
	defer func() {
		if err != nil {
			err = diskError(fmt.Errorf("write job: %w", err))
			_ = os.Remove(tmp) // it may never have been made
		}
	}()
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// diskError gives a full disk its sentinel.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", vstack.ErrDiskFull, err)
	}
	return err
}
