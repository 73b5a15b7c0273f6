package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vstack/vstack/internal/vstack"
)

// Entry is a job's state as the spool holds it.
type Entry struct {
	ID    vstack.UploadID
	State []byte
	// Err says why State does not read; it may once the disk does.
	Err error
}

// Source is where a job's file is.
func (s *Spool) Source(id vstack.UploadID) string { return s.path(dirJobs, id.String(), fileSource) }

// Adopt makes a part that is whole and synced a job: its state is written beside it,
// then the directory moves to its place in one step. What a former process left of the
// same upload goes. The part is closed.
func (s *Spool) Adopt(p *Part, id vstack.UploadID, state []byte) error {
	if err := p.Close(); err != nil {
		return fmt.Errorf("spool: adopt: %w", err)
	}
	if err := s.writeState(p.file(fileJob), state); err != nil {
		return fmt.Errorf("spool: adopt: %w", err)
	}
	to := s.path(dirJobs, id.String())
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("spool: adopt: %w", err)
	}
	if err := os.Rename(p.dir, to); err != nil {
		return fmt.Errorf("spool: adopt: %w", err)
	}
	return errors.Join(syncDir(s.path(dirJobs)), syncDir(s.path(dirIncoming)))
}

// Save writes the state of a job that goes on.
func (s *Spool) Save(id vstack.UploadID, state []byte) error {
	if err := s.writeState(s.path(dirJobs, id.String(), fileJob), state); err != nil {
		return fmt.Errorf("spool: save job: %w", err)
	}
	return nil
}

// Read reads the state of one job that goes on.
func (s *Spool) Read(id vstack.UploadID) Entry {
	state, err := s.readState(s.path(dirJobs, id.String(), fileJob))
	if err != nil {
		err = fmt.Errorf("read job: %w", err)
	}
	return Entry{ID: id, State: state, Err: err}
}

// Remove drops a job with its file.
func (s *Spool) Remove(id vstack.UploadID) error {
	if err := os.RemoveAll(s.path(dirJobs, id.String())); err != nil {
		return fmt.Errorf("spool: remove job: %w", err)
	}
	return syncDir(s.path(dirJobs))
}

// Finish keeps an ended job's state for its readers and removes its file.
func (s *Spool) Finish(id vstack.UploadID, state []byte) error {
	if err := s.writeState(s.path(dirDone, id.String()+".json"), state); err != nil {
		return fmt.Errorf("spool: finish job: %w", err)
	}
	return s.Remove(id)
}

// Forget drops the state of an ended job.
func (s *Spool) Forget(id vstack.UploadID) error {
	err := os.Remove(s.path(dirDone, id.String()+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Jobs reads the states of the jobs that go on. One that does not read is listed with
// the reason; strange are directories that are no job's, which are left alone too.
func (s *Spool) Jobs() (jobs []Entry, strange []string, err error) {
	entries, err := os.ReadDir(s.path(dirJobs))
	if err != nil {
		return nil, nil, fmt.Errorf("read spool: %w", err)
	}
	for _, e := range entries {
		id, err := vstack.ParseUploadID(e.Name())
		if err != nil {
			strange = append(strange, s.path(dirJobs, e.Name()))
			continue
		}
		jobs = append(jobs, s.Read(id))
	}
	return jobs, strange, nil
}

// Done reads the last states of ended jobs, in no order. They are a convenience: one
// that does not read is dropped by the caller.
func (s *Spool) Done() ([]Entry, error) {
	entries, err := os.ReadDir(s.path(dirDone))
	if err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	var done []Entry
	for _, e := range entries {
		name, ok := trimJSON(e.Name())
		id, err := vstack.ParseUploadID(name)
		if !ok || err != nil {
			_ = os.Remove(s.path(dirDone, e.Name())) // a torn leftover that nobody misses
			continue
		}
		state, err := s.readState(s.path(dirDone, e.Name()))
		done = append(done, Entry{ID: id, State: state, Err: err})
	}
	return done, nil
}

func trimJSON(name string) (string, bool) {
	ext := filepath.Ext(name)
	return name[:len(name)-len(ext)], ext == ".json"
}
