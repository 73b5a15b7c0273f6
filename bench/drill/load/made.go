package load

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// removers is how many videos are removed at once.
	removers = 8
	// lateLooks is how often uploads are looked for whose uploader had the file and had
	// not told the catalog yet.
	lateLooks = 10
)

// Made is what loads made and have not removed yet. Its methods may be called from
// several goroutines.
type Made struct {
	mu      sync.Mutex
	videos  map[vstack.VideoID]bool
	sources map[vstack.ChunkID]bool // files sent that have videos which are not noted yet
}

// NewMade makes an empty one.
func NewMade() *Made {
	return &Made{videos: map[vstack.VideoID]bool{}, sources: map[vstack.ChunkID]bool{}}
}

// video notes a video that is there now.
func (m *Made) video(id vstack.VideoID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.videos[id] = true
}

// sending notes a file that is about to be sent; no other has its bytes.
func (m *Made) sending(source vstack.ChunkID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources[source] = true
}

// sent notes that all videos of a file are noted: it was sent once.
func (m *Made) sent(source vstack.ChunkID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sources, source)
}

// gone notes that a video was removed.
func (m *Made) gone(id vstack.VideoID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.videos, id)
}

// Remove removes all of it: no load runs any more.
func (m *Made) Remove(ctx context.Context, c *cluster.Cluster) error {
	err := m.findSent(ctx, c)
	m.mu.Lock()
	var all []vstack.VideoID
	for id := range m.videos {
		all = append(all, id)
	}
	m.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(removers)
	for _, id := range all {
		g.Go(func() error {
			if err := c.Meta.DeleteVideo(ctx, id); err != nil && !errors.Is(err, vstack.ErrNotFound) {
				return err
			}
			m.gone(id)
			return nil
		})
	}
	err = errors.Join(err, g.Wait())
	m.mu.Lock()
	defer m.mu.Unlock()
	if left := len(m.videos) + len(m.sources); err != nil && left > 0 {
		return fmt.Errorf("remove what the loads made, %d videos with titles that begin with %q are left: %w", left, titles, err)
	}
	return err
}

// findSent looks what has become of the files that were sent.
func (m *Made) findSent(ctx context.Context, c *cluster.Cluster) error {
	for look := 0; ; look++ {
		m.mu.Lock()
		var open []vstack.ChunkID
		for s := range m.sources {
			open = append(open, s)
		}
		m.mu.Unlock()
		for _, s := range open {
			found, err := c.Meta.Uploads(ctx, metaclient.UploadFilter{SourceSHA256: s})
			if err != nil {
				return fmt.Errorf("look for the upload of %s: %w", s.Short(), err)
			}
			for _, up := range found {
				m.video(up.Video)
				m.sent(s)
			}
		}
		m.mu.Lock()
		left := len(m.sources)
		if look == lateLooks {
			clear(m.sources) // none has reached the catalog, and none will
		}
		m.mu.Unlock()
		if left == 0 || look == lateLooks {
			return nil
		}
		if !sleep.For(ctx, retryPause) {
			return context.Cause(ctx)
		}
	}
}
