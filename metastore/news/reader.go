package news

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

// Gather is how long a page with nothing but edits waits for more of them.
const Gather = 100 * time.Millisecond

// Reader answers requests of the feed from one member's catalog.
type Reader struct {
	Catalog *catalog.Catalog
	// Hold is how long a request waits that does not say.
	Hold time.Duration
	// Closed ends all waiting: a member that closes lets its readers go.
	Closed context.Context
	// Maps, where it is set, keeps the encoded placement map from one request to the next.
	Maps *MapCache
}

// MapCache is the JSON of the placement map that was asked for last: each change of it goes to every
// host. The zero value is ready.
type MapCache struct{ last atomic.Pointer[encodedMap] }

type encodedMap struct {
	cluster vstack.ClusterID
	version uint64
	json    []byte
}

// of is a map's JSON; the caller must not change it.
func (c *MapCache) of(cluster vstack.ClusterID, m *vstack.PlacementMap) ([]byte, error) {
	if last := c.last.Load(); last != nil && last.cluster == cluster && last.version == m.Version {
		return last.json, nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode placement map %d: %w", m.Version, err)
	}
	c.last.Store(&encodedMap{cluster, m.Version, b})
	return b, nil
}

// Manifests answers the form of the first release, and the index of the catalog.
func (r *Reader) Manifests(ctx context.Context, q url.Values) (wire.FeedPage, uint64, error) {
	var since uint64
	if s := q.Get("since"); s != "" {
		var err error
		if since, err = strconv.ParseUint(s, 10, 64); err != nil {
			return wire.FeedPage{}, 0, fmt.Errorf("parameter since=%.40q: %w: want a number", s, vstack.ErrInvalid)
		}
	}
	ctx, cancel, err := r.hold(ctx, q)
	if err != nil {
		return wire.FeedPage{}, 0, err
	}
	defer cancel()
	r.await(ctx, since)
	view := r.Catalog.View()
	page, err := view.Feed(since)
	return page, view.Applied(), err
}

// ByGroups answers the form of internal/feed, encoded, and the index of the catalog.
func (r *Reader) ByGroups(ctx context.Context, q url.Values) ([]byte, uint64, error) {
	req, err := feed.ParseRequest(q)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel, err := r.hold(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	defer cancel()
	if r.Catalog.View().PlacementVersion() <= req.Map && !req.References {
		r.await(ctx, req.Since)
	}
	view := r.Catalog.View()
	if view.FeedIndex() < req.Since {
		return nil, 0, fmt.Errorf("feed after %d: %w: at %d", req.Since, vstack.ErrCatalogLagging, view.FeedIndex())
	}
	page, err := Page(view, req, feed.MemberBounds())
	if err != nil {
		return nil, 0, err
	}
	if page.Placement != nil && r.Maps != nil {
		if page.PlacementJSON, err = r.Maps.of(page.Cluster, page.Placement); err != nil {
			return nil, 0, err
		}
	}
	body, err := page.Append(nil)
	return body, view.Applied(), err
}

// hold is the time for which a request waits. An end of waiting is an empty page, or what
// there is.
func (r *Reader) hold(ctx context.Context, q url.Values) (context.Context, context.CancelFunc, error) {
	hold := r.Hold
	if v := q.Get("wait"); v != "" {
		seconds, err := strconv.ParseFloat(v, 64)
		if err != nil || !(seconds >= 0 && seconds <= 30) {
			return nil, nil, fmt.Errorf("parameter wait=%.40q: %w: want 0 to 30 seconds", v, vstack.ErrInvalid)
		}
		hold = time.Duration(seconds * float64(time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, hold)
	stop := context.AfterFunc(r.Closed, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// await waits until the feed has something after since, and a moment longer for more of it if
// that is nothing but edits.
func (r *Reader) await(ctx context.Context, since uint64) {
	_ = r.Catalog.WaitFor(ctx, func(v *catalog.View) bool { return v.FeedIndex() > since })
	gather, done := context.WithTimeout(ctx, Gather)
	defer done()
	_ = r.Catalog.WaitFor(gather, func(v *catalog.View) bool { return v.Pressing(since) })
}

// Level refuses a reader whose program is older than the catalog's level: what it does
// not understand of the feed, it would take for nothing, and drop chunks that nothing names.
func (r *Reader) Level(h http.Header) error {
	knows := vstack.LevelFirst
	if v := h.Get(wire.HeaderLevel); v != "" {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return fmt.Errorf("%s %.40q: %w: want a number", wire.HeaderLevel, v, vstack.ErrInvalid)
		}
		knows = vstack.Level(n)
	}
	if level := r.Catalog.View().Level(); knows < level {
		return fmt.Errorf("read the feed: %w: its reader knows level %d, the cluster is at %d", vstack.ErrLevelTooOld, knows, level)
	}
	return nil
}
