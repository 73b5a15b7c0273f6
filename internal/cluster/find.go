package cluster

import (
	"context"
	"fmt"

	"github.com/vstack/vstack/internal/cluster/short"
	"github.com/vstack/vstack/internal/vstack"
)

// FindVideo reads a video's id, or finds the only video whose id begins or ends with text.
// The beginning of an id is the time of the upload, so films that were stored together
// differ in their ends.
func (c *Cluster) FindVideo(ctx context.Context, text string) (vstack.VideoID, error) {
	if id, err := vstack.ParseVideoID(text); err == nil {
		return id, nil
	}
	find := short.New[vstack.VideoID]("video", text, "vstack video ls")
	if err := find.Check(); err != nil {
		return vstack.VideoID{}, err
	}
	videos, err := c.Videos(ctx, "", 0)
	if err != nil {
		return vstack.VideoID{}, err
	}
	for _, v := range videos {
		find.Look(v.ID)
	}
	return find.Only()
}

// FindStore reads a store's id, or finds the only store whose id begins or ends with text
// or whose address it is.
func (c *Cluster) FindStore(ctx context.Context, text string) (vstack.Store, error) {
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return vstack.Store{}, err
	}
	find := short.New[vstack.StoreID]("store", text, "vstack store ls")
	all := map[vstack.StoreID]vstack.Store{}
	for _, n := range nodes {
		for _, s := range n.Stores {
			if s.Addr == text {
				return s.Store, nil
			}
			all[s.ID] = s.Store
			find.Look(s.ID)
		}
	}
	if err := find.Check(); err != nil {
		return vstack.Store{}, err
	}
	id, err := find.Only()
	return all[id], err
}

// FindJob reads a job's id, or finds the only job of the uploaders that answer whose id
// begins or ends with text.
func (c *Cluster) FindJob(ctx context.Context, text string) (vstack.UploadID, error) {
	if id, err := vstack.ParseUploadID(text); err == nil {
		return id, nil
	}
	find := short.New[vstack.UploadID]("job", text, "vstack video jobs --all")
	if err := find.Check(); err != nil {
		return vstack.UploadID{}, err
	}
	jobs, silent := c.Jobs(ctx)
	for _, j := range jobs {
		if !j.Upload.IsZero() { // else its file arrives
			find.Look(j.Upload) // a resumed upload has a job at several uploaders
		}
	}
	id, err := find.Only()
	if err != nil && silent != nil {
		err = fmt.Errorf("%w; not every uploader answers: %w", err, silent)
	}
	return id, err
}
