package standin

import (
	"encoding/binary"
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

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// Check reads the log of the member whose directory is dir. ErrCorrupt says that it is
// damaged, ErrManifestsLost that what its snapshot names is not beside it; a log that is not
// there yet is none. key is that of an encrypted directory.
func Check(dir string, key *sealed.Key) error {
	path := filepath.Join(dir, "raft", "raft.db")
	if err := check(path, key); err != nil {
		return fmt.Errorf("raft log %s: %w", path, err)
	}
	return nil
}

func check(path string, key *sealed.Key) error {
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
	return entries(path, key)
}

// entries reads every entry: Raft panics at one that it cannot read, and a catalog stops at
// one that is no command.
func entries(path string, key *sealed.Key) (err error) {
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
	indexes, err := stored(path)
	if err != nil {
		return err
	}
	open := func(*raft.Log) error { return nil }
	if key != nil {
		box, err := sealed.NewBox(key)
		if err != nil {
			return err
		}
		open = func(l *raft.Log) error { return disk.OpenEntry(box, l) }
	}
	past, newest, err := newestSnapshot(filepath.Join(filepath.Dir(path), "snapshots"))
	if err == nil {
		err = manifests(filepath.Dir(path), newest, key)
	}
	if err != nil {
		return err
	}
	// The library reads from the newest snapshot on. What is below may have a gap where a
	// snapshot came that was ahead of the log: a restored backup, or the leader's.
	before := past
	for _, i := range indexes {
		if i > past && i != before+1 {
			return fmt.Errorf("%w: entry %d is not there, %d is", vstack.ErrCorrupt, before+1, i)
		}
		before = max(past, i)
		var l raft.Log
		err := s.GetLog(i, &l)
		if err == nil {
			err = open(&l)
		}
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

// stored are the indexes of the entries that are there, in order.
func stored(path string) (indexes []uint64, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("%w: %v", vstack.ErrCorrupt, err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		logs := tx.Bucket([]byte("logs"))
		if logs == nil {
			return nil // a crash before the library made it
		}
		return logs.ForEach(func(key, _ []byte) error {
			if len(key) != 8 {
				return fmt.Errorf("%w: an entry has the key %x", vstack.ErrCorrupt, key)
			}
			indexes = append(indexes, binary.BigEndian.Uint64(key))
			return nil
		})
	})
	return indexes, err
}
