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

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	lineageName = "cluster.json"
	maxLineage  = 64 << 10
	// lineageEvery is how often the followed index is written down.
	lineageEvery = time.Minute
)

// lineage is what a store keeps of the catalog that it belongs to. A catalog that was
// made anew, or set back to an old backup, does not name the chunks that are here; by
// these two the metastore knows that it is not the one, and the store drops nothing. In the
// same file are the groups that the store knows, see groups.go.
type lineage struct {
	fs   vfs.FS
	path string

	saving  sync.Mutex // held while the file is written, and not for readers
	mu      sync.Mutex // guards the fields below
	past    past
	started time.Time // of this process, or before begin of the one before
	known   permit.Groups
	mine    permit.Groups // by the newest map, those that are being prepared included
	written time.Time     // when past was
	refused string        // why the metastore refuses the store; empty while it does not
}

// past is what the metastore is told.
type past struct {
	Cluster vstack.ClusterID `json:"cluster"`
	Seen    uint64           `json:"seen"` // catalog index, at most lineageEvery old
}

// lineageFile is the file. A binary from before there were groups leaves them out when it
// writes it, so that what it joined meanwhile is not taken for all that there was.
type lineageFile struct {
	past
	Started time.Time   `json:"started,omitzero"` // of the last process, see wire.NextStart
	Groups  *groupsNote `json:"groups,omitempty"`
}

// openLineage reads the store's past; a new store has none. holds says whether the store
// has any chunk.
func openLineage(fsys vfs.FS, dir string, holds bool) (*lineage, error) {
	l := &lineage{fs: fsys, path: filepath.Join(dir, lineageName)}
	b, err := vfs.ReadFile(fsys, l.path, maxLineage)
	var file lineageFile
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w: %w", l.path, vstack.ErrCorrupt, err)
	}
	l.past, l.started, l.known = file.past, file.Started, file.Groups.read(holds)
	return l, nil
}

// begin names this process, once, and writes that down before anybody hears of it. Where that
// fails the name stands for as long as the process does: a full disk is no reason not to start.
func (l *lineage) begin(now time.Time) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	l.started = wire.NextStart(l.started, now)
	p, known := l.past, l.known
	l.mu.Unlock()
	return l.save(p, known)
}

// began is this process's name.
func (l *lineage) began() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started
}

// save writes the file; the caller holds saving.
func (l *lineage) save(p past, known permit.Groups) error {
	b, err := json.Marshal(lineageFile{p, l.began(), noteOf(known)})
	if err != nil {
		return fmt.Errorf("encode %s: %w", l.path, err)
	}
	return vfs.WriteFile(l.fs, l.path, b, 0o640)
}

func (l *lineage) get() past {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.past
}

// follow notes that the store follows a catalog, up to an index.
func (l *lineage) follow(cluster vstack.ClusterID, seen uint64, now time.Time) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	l.refused = ""
	old, written, known := l.past, l.written, l.known
	l.mu.Unlock()
	next := past{Cluster: cluster, Seen: max(seen, old.Seen)}
	if cluster.IsZero() || next == old || !old.Cluster.IsZero() && now.Sub(written) < lineageEvery {
		return nil
	}
	if err := l.save(next, known); err != nil {
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

func (f ownFeed) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	page, err := f.server.cfg.Meta.Follow(ctx, req)
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
		return feed.Page{}, fmt.Errorf("catalog feed: %w: it is of cluster %s, the stores of %s", vstack.ErrForeignCatalog, page.Cluster, own[0])
	}
	return page, nil
}
