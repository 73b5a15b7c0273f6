package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// Open recovers the view that Dir holds. One of another format or catalog, one that is older
// than the stores, and one that cannot be read is removed with a warning: the feed tells it
// again. The caller runs and closes the Follower.
func Open(cfg Config) (*Follower, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Follower{cfg: cfg, changed: make(chan struct{})}
	f.alive, f.end = context.WithCancel(context.Background())
	err := f.recover()
	if err != nil && !passing(err) {
		cfg.Logger.Warn("the catalog view is read anew", "dir", cfg.Dir, "reason", err)
		if f.db != nil {
			err = f.db.close()
			f.db = nil
		}
		if rerr := cfg.FS.RemoveAll(cfg.Dir); rerr != nil {
			return nil, errors.Join(fmt.Errorf("remove the catalog view %s: %w", cfg.Dir, rerr), err)
		}
		err = f.recover()
	}
	if err == nil {
		err = f.begin()
	}
	if err == nil {
		err = f.register()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// recover opens the directory and reads into memory what is kept there.
func (f *Follower) recover() error {
	f.state, f.placement, f.counts, f.open = state{Format: format}, nil, counts{}, map[vstack.UploadID]vstack.Upload{}
	f.access, f.keys = map[vstack.VideoID]vstack.Access{}, vstack.TokenKeys{}
	if err := f.cfg.FS.MkdirAll(f.cfg.Dir, 0o750); err != nil {
		return fmt.Errorf("make %s: %w", f.cfg.Dir, err)
	}
	err := marked(f.cfg.FS, f.cfg.Dir)
	if err != nil {
		return err
	}
	if f.db, err = openDisk(f.cfg.FS, f.cfg.Dir, logger{f.cfg.Logger, f.fail}); err != nil {
		return err
	}
	b, err := get(f.db, []byte{rowState})
	switch {
	case err != nil:
		return err
	case b == nil:
		return nil // it begins
	}
	if f.state, err = decodeState(b); err != nil {
		return err
	}
	if err := f.judge(); err != nil {
		return err
	}
	if f.placement, err = f.decoded.get(f.db); err != nil {
		return err
	}
	for pg := range f.state.Known.All {
		if f.counts[pg], err = getCount(f.db, pg); err != nil {
			return err
		}
	}
	if err := f.recoverAccess(); err != nil {
		return err
	}
	return each(f.db, []byte{rowUpload}, []byte{rowUpload + 1}, func(key, value []byte) (bool, error) {
		u, err := decodeUpload(key, value)
		if err == nil && u.State == vstack.UploadOpen {
			f.open[u.ID] = u
		}
		return true, err
	})
}

// judge says why a view must not be trusted.
func (f *Follower) judge() error {
	s := &f.state
	switch {
	case s.Format != format:
		return fmt.Errorf("catalog view of format %d, this is %d: %w", s.Format, format, vstack.ErrInvalid)
	case !f.cfg.Cluster.IsZero() && !s.Cluster.IsZero() && s.Cluster != f.cfg.Cluster:
		return fmt.Errorf("catalog view of cluster %s, the stores are of %s: %w", s.Cluster, f.cfg.Cluster, vstack.ErrForeignCatalog)
	case s.Index < f.cfg.Seen:
		return fmt.Errorf("catalog view at %d, the stores have followed the catalog to %d: %w", s.Index, f.cfg.Seen, vstack.ErrInvalid)
	}
	return nil
}

// begin takes in the groups that the view does not know, and the configuration does.
func (f *Follower) begin() error {
	next := f.state
	for _, pg := range f.cfg.Known {
		next.learn(pg)
	}
	if f.placement.Ready() { // a store may be new here
		for pg := range vstack.PG(vstack.PlacementGroups) {
			if wanted(f.placement, pg, f.cfg.Stores) {
				next.learn(pg)
			}
		}
	}
	batch := f.db.NewBatch()
	defer batch.Close()
	if err := f.commit(batch, next); err != nil {
		return err
	}
	f.state = next
	return nil
}

// commit writes a batch and the state that it brings about.
func (f *Follower) commit(batch *pebble.Batch, next state) error {
	b, err := next.encode()
	if err != nil {
		return err
	}
	if err := batch.Set([]byte{rowState}, b, nil); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	return nil
}

// start is what OnStart is told.
func (f *Follower) start() (Start, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	s := Start{Index: f.state.Index, Placement: f.placement, Upload: f.upload}
	err := each(f.db, []byte{rowEnded}, []byte{rowEnded + 1}, func(_, value []byte) (bool, error) {
		var id vstack.UploadID
		if copy(id[:], value) != len(value) {
			return false, rotten("row of an ended upload is %x", value)
		}
		if u, ok := f.upload(id); ok {
			s.Uploads = append(s.Uploads, u)
		}
		return true, nil
	})
	for _, u := range f.open {
		s.Uploads = append(s.Uploads, u)
	}
	return s, err
}

// upload is what the view knows of an upload.
func (f *Follower) upload(id vstack.UploadID) (vstack.Upload, bool) {
	key := uploadKey(id)
	b, err := get(f.db, key)
	var u vstack.Upload
	if err == nil && b != nil {
		u, err = decodeUpload(key, b)
	}
	if err != nil {
		f.fail(err)
	}
	return u, err == nil && b != nil
}

// Close ends the use of the directory; Run and every Snapshot must have ended. Idempotent.
func (f *Follower) Close() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.db == nil {
		return nil
	}
	db := f.db
	f.db = nil
	if err := db.close(); err != nil {
		return fmt.Errorf("close the catalog view: %w", err)
	}
	return nil
}

// request is what to ask next: of the feed, or of groups that are read again.
func (s *state) request(placement *vstack.PlacementMap, again bool) feed.Request {
	if again {
		return feed.Request{Since: s.Again, Seen: s.Seen, Groups: s.Reading, References: true}
	}
	req := feed.Request{Since: s.Index, Have: s.Whole, Seen: s.Seen, Groups: s.Known, Wait: -1}
	if placement != nil {
		req.Map = placement.Version
	}
	if !s.Reading.Empty() {
		req.Wait = 0 // the groups are to be read meanwhile
	}
	return req
}
