package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/vstack/vstack/internal/vstack"
)

// Check reads the log of the member whose directory is dir. ErrCorrupt says that it is
// damaged; a log that is not there yet is none.
func Check(dir string) error {
	path := filepath.Join(dir, "raft", "raft.db")
	if err := check(path); err != nil {
		return fmt.Errorf("raft log %s: %w", path, err)
	}
	return nil
}

func check(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 { // a crash while it was made: the library begins anew
		return nil
	}
	if err := walk(f, info.Size()); err != nil {
		return err
	}
	return entries(path)
}

// entries reads every entry: Raft panics at one that it cannot read, and a catalog stops at
// one that is no command.
func entries(path string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", vstack.ErrCorrupt, p)
		}
	}()
	s, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{ReadOnly: true, Timeout: time.Second}})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil // another process has it: who opens it to write says so
	}
	if err != nil {
		return fmt.Errorf("%w: %v", vstack.ErrCorrupt, err)
	}
	defer s.Close()
	first, err := s.FirstIndex()
	if err != nil {
		return fmt.Errorf("%w: first entry: %v", vstack.ErrCorrupt, err)
	}
	last, err := s.LastIndex()
	if err != nil {
		return fmt.Errorf("%w: last entry: %v", vstack.ErrCorrupt, err)
	}
	for i := first; i <= last && i > 0; i++ {
		var l raft.Log
		err := s.GetLog(i, &l)
		switch {
		case err != nil:
			return fmt.Errorf("%w: entry %d: %v", vstack.ErrCorrupt, i, err)
		case l.Index != i:
			return fmt.Errorf("%w: entry %d says that it is %d", vstack.ErrCorrupt, i, l.Index)
		case l.Type == raft.LogCommand && !json.Valid(l.Data):
			return fmt.Errorf("%w: entry %d is no command", vstack.ErrCorrupt, i)
		}
	}
	return nil
}
