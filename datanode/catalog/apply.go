package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/cockroachdb/pebble/v2"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// counts are the references of each group.
type counts [vstack.PlacementGroups]uint64

// change is what one page does to the view: rows in a batch, and what memory holds of them.
type change struct {
	f         *Follower
	batch     *pebble.Batch
	next      state
	placement *vstack.PlacementMap
	counts    counts
	open      map[vstack.UploadID]vstack.Upload
	access    map[vstack.VideoID]vstack.Access
	watching  bool // access is a copy
	keys      vstack.TokenKeys
	grew      bool
}

// newChange begins one; the caller holds f.writing and closes the batch.
func (f *Follower) newChange() *change {
	return &change{f: f, batch: f.db.NewBatch(), next: f.state, placement: f.placement, counts: f.counts, open: f.open, access: f.access, keys: f.keys}
}

// commit makes the change durable, rows and index together, and then what readers see.
func (c *change) commit() error {
	for pg, n := range c.counts {
		if n != c.f.counts[pg] {
			if err := c.batch.Set(groupKey(vstack.PG(pg)), binary.LittleEndian.AppendUint64(nil, n), nil); err != nil {
				return fmt.Errorf("write the catalog view: %w", err)
			}
		}
	}
	if err := c.f.commit(c.batch, c.next); err != nil {
		return err
	}
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.state, c.f.placement, c.f.counts, c.f.open, c.f.access, c.f.keys = c.next, c.placement, c.counts, c.open, c.access, c.keys
	c.f.freshen()
	close(c.f.changed)
	c.f.changed = make(chan struct{})
	return nil
}

// page takes in what a page says. The map comes last: a member of the first release sends it
// beside rows that were asked for by the groups of the map before.
func (c *change) page(page *feed.Page, req feed.Request) error {
	c.next.Cluster = page.Cluster
	if page.At > c.next.Seen {
		c.next.Seen = page.At
	}
	if err := c.takeKeys(page.Keys); err != nil {
		return err
	}
	for i := range page.Videos {
		if err := c.watch(&page.Videos[i]); err != nil {
			return err
		}
		if err := c.video(&page.Videos[i], req.Groups); err != nil {
			return err
		}
	}
	// A page that does not tell how far its catalog is cannot tell its end either.
	end := !page.More && page.At >= c.next.Seen && page.At > 0
	if req.References {
		c.next.Again = page.Index
		if end {
			c.next.Reading = feed.Groups{}
		}
		return nil
	}
	c.open = maps.Clone(c.open)
	for _, u := range page.Uploads {
		if err := c.upload(u); err != nil {
			return err
		}
	}
	c.next.Index = page.Index
	c.next.Seen = max(c.next.Seen, page.Index)
	if end {
		c.next.Whole, c.next.Once = page.Index, true
	}
	return c.place(page.Placement)
}

func (c *change) place(m *vstack.PlacementMap) error {
	if m == nil || c.placement != nil && m.Version < c.placement.Version {
		return nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the placement map: %w", err)
	}
	if err := c.batch.Set([]byte{rowPlacement}, b, nil); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	c.placement = m
	c.f.decoded.last.Store(&decodedMap{row: b, m: m})
	if !m.Ready() {
		return nil
	}
	for pg := range vstack.PG(vstack.PlacementGroups) {
		if wanted(m, pg, c.f.cfg.Stores) {
			c.grew = c.next.learn(pg) || c.grew
		}
	}
	return nil
}

// upload keeps every upload that ever was: an acceptor may find votes of it in its log.
func (c *change) upload(u vstack.Upload) error {
	if was, known := c.f.upload(u.ID); known && was.State != vstack.UploadOpen {
		return nil // it ended, for good
	}
	row, err := encodeUpload(u)
	if err != nil {
		return err
	}
	if err := c.batch.Set(uploadKey(u.ID), row, nil); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	if u.State == vstack.UploadOpen {
		c.open[u.ID] = u
		return nil
	}
	delete(c.open, u.ID)
	n := c.next.Ended
	c.next.Ended++
	if err := c.batch.Set(endedKey(n), u.ID[:], nil); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	if n >= maxEnded {
		if err := c.batch.Delete(endedKey(n-maxEnded), nil); err != nil {
			return fmt.Errorf("write the catalog view: %w", err)
		}
	}
	return nil
}

// video takes a video in, unless a newer page has told of it. asked are the groups that the
// page has all references of.
func (c *change) video(v *feed.Video, asked feed.Groups) error {
	old, known, err := getVideo(c.f.db, v.ID)
	switch {
	case err != nil:
		return err
	case known && (old.class == "" || old.changed > v.Changed):
		return nil
	case v.Ended() && known:
		if err := c.drop(v.ID); err != nil {
			return err
		}
	case !v.Ended() && !known && len(v.References) == 0:
		return nil // none of it belongs here
	}
	row, err := videoRow{v.Class, v.ClassIndex, v.Changed, v.Scheme, v.Kept}.encode()
	if err != nil {
		return err
	}
	if err := c.batch.Set(videoKey(v.ID), row, nil); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	return c.references(v, asked, known)
}

// references adds those of a video. All of one video and group come in one page, so that one
// that is here means that the others are.
func (c *change) references(v *feed.Video, asked feed.Groups, known bool) error {
	var here, looked feed.Groups
	for _, r := range v.References {
		slot := r.Slot(v.ID)
		pg := slot.PG()
		if !asked.Has(pg) || !c.next.Known.Has(pg) {
			continue
		}
		key := referenceKey(pg, slot)
		if known && !looked.Has(pg) {
			looked.Add(pg)
			b, err := get(c.f.db, key)
			if err != nil {
				return err
			}
			if b != nil {
				here.Add(pg)
			}
		}
		if here.Has(pg) {
			continue
		}
		c.counts[pg]++
		if err := c.batch.Set(key, encodeReference(r.Size, r.Chunk), nil); err != nil {
			return fmt.Errorf("write the catalog view: %w", err)
		}
		if err := c.batch.Set(chunkKey(r.Chunk, pg, slot), nil, nil); err != nil {
			return fmt.Errorf("write the catalog view: %w", err)
		}
	}
	return nil
}

// drop takes the references of a video out of every group.
func (c *change) drop(id vstack.VideoID) error {
	for pg := range c.next.Known.All {
		if c.counts[pg] == 0 {
			continue
		}
		lower, upper := referencesOf(pg, &id)
		if err := c.dropRange(pg, lower, upper); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) dropRange(pg vstack.PG, lower, upper []byte) error {
	return each(c.f.db, lower, upper, func(key, value []byte) (bool, error) {
		_, chunk, err := decodeReference(value)
		if err != nil {
			return false, err
		}
		_, slot := placeOf(key)
		c.counts[pg]--
		if err := c.batch.Delete(key, nil); err != nil {
			return false, fmt.Errorf("write the catalog view: %w", err)
		}
		if err := c.batch.Delete(chunkKey(chunk, pg, slot), nil); err != nil {
			return false, fmt.Errorf("write the catalog view: %w", err)
		}
		return true, nil
	})
}

// wipe takes everything out but which groups are known, and the map.
func (c *change) wipe() error {
	for _, row := range []byte{rowReference, rowChunk, rowVideo, rowUpload, rowEnded, rowGroup, rowAccess, rowKeys} {
		if err := c.batch.DeleteRange([]byte{row}, []byte{row + 1}, nil); err != nil {
			return fmt.Errorf("write the catalog view: %w", err)
		}
	}
	c.next.startOver()
	c.counts, c.open = counts{}, map[vstack.UploadID]vstack.Upload{}
	c.access, c.keys, c.watching = map[vstack.VideoID]vstack.Access{}, vstack.TokenKeys{}, true
	return nil
}
