package standin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// manifests holds the manifests below a member's directory to the newest whole snapshot, whose
// directory is given, or "" without one: ErrManifestsLost says that it names some that are not
// there, or that a process before could not read one.
func manifests(raft, snapshot string, key *sealed.Key) (err error) {
	dir := filepath.Join(raft, disk.Manifests)
	if _, err := disk.ReadOrigin(filepath.Join(raft, "origin.json"), key); errors.Is(err, vstack.ErrKeyMissing) {
		return nil // it is encrypted: who opens it says that the key is missing
	}
	store, err := blobs.New(blobs.Config{Dir: dir, Key: key, ReadOnly: true})
	if err != nil {
		return err
	}
	err = store.Open()
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, store.Close()) }()
	case errors.Is(err, syscall.EAGAIN): // another process has it: who opens it to write says so
		return nil
	default:
		return err
	}
	if snapshot == "" {
		return nil
	}
	to, err := store.Restore()
	if err != nil {
		return err
	}
	defer to.End(false, 0)
	f, err := os.Open(filepath.Join(snapshot, "state.bin"))
	if err != nil {
		return err
	}
	defer f.Close()
	in := io.Reader(f)
	if key != nil {
		if in, err = sealed.NewReader(f, key); err != nil {
			return fmt.Errorf("snapshot %s: %w", snapshot, err)
		}
	}
	if err := form.Named(in, to.Name); err != nil {
		return fmt.Errorf("manifests in %s, of snapshot %s: %w", dir, filepath.Base(snapshot), err)
	}
	return nil
}
