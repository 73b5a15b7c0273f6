package superblock

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// Upgrade has the store append in a format version from now on, for good: programs that do
// not read it will refuse to open the store. The caller knows that the cluster's feature
// level allows it. A repeat, and a lower version, change nothing.
//
// To format.V4 goes a store that has Config.Keys, and from then on it is encrypted: what it has
// stays plain until compaction moves it.
//
// First the file STORE says the version, durably, then a file of the version begins, and
// only that one takes records of it: a program of before would take a record that it does
// not know for a torn tail, and cut it off.
func (s *Store) Upgrade(ctx context.Context, v format.Version) error {
	if v > format.Newest {
		return fmt.Errorf("upgrade store %s to format version %d: %w: this program knows %d", s.id, v, vstack.ErrInvalid, format.Newest)
	}
	if v <= s.appends() {
		return nil
	}
	r := &request{upgrade: v, ready: make(chan struct{})}
	if err := s.enqueue(ctx, r); err != nil {
		return fmt.Errorf("upgrade store %s to format version %d: %w", s.id, v, err)
	}
	<-r.ready
	if r.err != nil {
		return fmt.Errorf("upgrade store %s to format version %d: %w", s.id, v, r.err)
	}
	return nil
}

// appends is the version of the files that records go to.
func (s *Store) appends() format.Version { return format.Version(s.version.Load()) }

// upgradeTo is Upgrade on the writer's goroutine. The active file, which is of the version
// before, is left by the next append.
func (s *Store) upgradeTo(v format.Version) error {
	if err := s.failure(); err != nil || v <= s.appends() {
		return err
	}
	from, box := s.appends(), s.box.Load()
	if v > format.NewestPlain && box == nil {
		var err error
		if box, err = s.home().Make(s.id); err == nil {
			err = box.Begin(s.cfg.Rand)
		}
		if err != nil {
			return err // a key of nothing may be there
		}
	}
	switch err := s.home().Write(s.id, v); {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", vstack.ErrDiskFull, err)
	case err != nil:
		s.fail(err)
		return s.failure()
	}
	s.version.Store(uint32(v))
	s.box.Store(box)
	s.cfg.Logger.Info("store writes a newer format: older programs cannot open it any more", "store", s.id, "dir", s.cfg.Dir, "from", from, "to", v)
	return nil
}
