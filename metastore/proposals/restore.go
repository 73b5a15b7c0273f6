package proposals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/metastore/backup"
	"github.com/vstack/vstack/metastore/catalog"
)

// Restore hands the catalog of a backup to Raft, with no other write under way. What is on its way
// is in a file of dir meanwhile.
func (s *Proposals) Restore(ctx context.Context, dir string, term uint64, info backup.Info, view *catalog.View) (err error) {
	f, err := os.CreateTemp(dir, "restore-*")
	if err != nil {
		return fmt.Errorf("restore a backup: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	key := sealed.Passing() // on the disk it is encrypted, whatever the directory is
	out, err := sealed.NewWriter(f, key)
	if err == nil {
		err = errors.Join(view.Write(out), out.Close())
	}
	if err != nil {
		return fmt.Errorf("restore a backup: %w", err)
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("restore a backup: %w", err)
	}
	in, err := sealed.NewReader(f, key)
	if err != nil {
		return fmt.Errorf("restore a backup: %w", err)
	}
	s.mu.Lock() // those under way have been answered; new ones are refused
	defer s.mu.Unlock()
	if err := backup.May(s.catalog.View(), info.Cluster); err != nil {
		return err
	}
	return s.node.Restore(ctx, term, view.Applied(), sealed.PlainSize(size), in)
}
