package datanode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	lineageName = "cluster.json"
	maxLineage  = 4 << 10
	// lineageEvery is how often the followed index is written down.
	lineageEvery = time.Minute
)

// lineage is what a store keeps of the catalog that it belongs to. A catalog that was
// made anew, or set back to an old backup, does not name the chunks that are here; by
// these two the metastore knows that it is not the one, and the store drops nothing.
type lineage struct {
	fs   vfs.FS
	path string

	mu      sync.Mutex // guards the fields below; not held while the file is written
	past    past
	written time.Time
	refused string // why the metastore refuses the store; empty while it does not
}

// past is the file.
type past struct {
	Cluster vstack.ClusterID `json:"cluster"`
	Seen    uint64           `json:"seen"` // catalog index, at most lineageEvery old
}

// openLineage reads the store's past; a new store has none.
func openLineage(fsys vfs.FS, dir string) (*lineage, error) {
	l := &lineage{fs: fsys, path: filepath.Join(dir, lineageName)}
	b, err := vfs.ReadFile(fsys, l.path, maxLineage)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &l.past)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", l.path, vstack.ErrCorrupt, err)
	}
	return l, nil
}

func (l *lineage) get() past {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.past
}

// follow notes that the store follows a catalog, up to an index. Only the heartbeat's
// goroutine calls it.
func (l *lineage) follow(cluster vstack.ClusterID, seen uint64, now time.Time) error {
	l.mu.Lock()
	l.refused = ""
	old, written := l.past, l.written
	l.mu.Unlock()
	next := past{Cluster: cluster, Seen: max(seen, old.Seen)}
	if cluster.IsZero() || next == old || !old.Cluster.IsZero() && now.Sub(written) < lineageEvery {
		return nil
	}
	b, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode %s: %w", l.path, err)
	}
	if err := vfs.WriteFile(l.fs, l.path, b, 0o640); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.past, l.written = next, now
	return nil
}

// refuse notes why the metastore does not take the store, and whether that is news.
func (l *lineage) refuse(why string) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	news = l.refused != why
	l.refused = why
	return news
}

// why is the metastore's reason to refuse the store, or empty.
func (l *lineage) why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// ownFeed is the metastore's feed as long as it is of the catalog that the stores belong
// to. A view that began with another catalog would lack what that one does not name, and
// votes would be forgotten with uploads that only that one has ended.
type ownFeed struct{ server *Server }

func (f ownFeed) Feed(ctx context.Context, since uint64) (wire.FeedPage, error) {
	page, err := f.server.cfg.Meta.Feed(ctx, since)
	if err != nil {
		return page, err
	}
	var own []vstack.ClusterID
	for _, st := range f.server.stores {
		if c := st.past.get().Cluster; !c.IsZero() {
			own = append(own, c)
		}
	}
	if len(own) > 0 && !slices.Contains(own, page.Cluster) {
		return wire.FeedPage{}, fmt.Errorf("catalog feed: %w: it is of cluster %s, the stores of %s", vstack.ErrForeignCatalog, page.Cluster, own[0])
	}
	return page, nil
}
