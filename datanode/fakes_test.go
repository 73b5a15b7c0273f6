package datanode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/liveness"
	"github.com/vstack/vstack/metastore/reconfigure"
	"github.com/vstack/vstack/quicclient"
)

// metastore is a catalog in memory that answers heartbeats and the feed as the real
// one does: state after an index, in index order, long polls, echoes.
type metastore struct {
	mu        sync.Mutex
	index     uint64
	videos    map[vstack.VideoID]wire.FeedVideo
	uploads   map[vstack.UploadID]vstack.Upload
	changed   map[any]uint64 // index of the last change of each object
	placement *vstack.PlacementMap
	echo      map[vstack.StoreID]vstack.LSN
	reports   map[vstack.StoreID]wire.StoreReport
	down      bool
	cluster   vstack.ClusterID
	level     vstack.Level
	keys      vstack.TokenKeys
	restored  time.Time // the catalog came from a backup
	feedHeld  bool      // heartbeats go on, the feed tells nothing new
	noRaft    bool      // activations find no leader
	asked     int       // requests to activate
	wake      chan struct{}
}

func newMetastore() *metastore {
	return &metastore{
		videos: map[vstack.VideoID]wire.FeedVideo{}, uploads: map[vstack.UploadID]vstack.Upload{}, changed: map[any]uint64{},
		echo: map[vstack.StoreID]vstack.LSN{}, reports: map[vstack.StoreID]wire.StoreReport{}, wake: make(chan struct{}), cluster: vstack.ClusterID{1},
	}
}

// change runs f under the lock with the next index and wakes the pollers.
func (m *metastore) change(f func(index uint64)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index++
	f(m.index)
	close(m.wake)
	m.wake = make(chan struct{})
}

// place assigns every group to stores in order, at the next epoch.
func (m *metastore) place(stores ...vstack.Store) {
	m.change(func(index uint64) {
		epoch := vstack.Epoch(1)
		if m.placement != nil {
			epoch = m.placement.Groups[0].Epoch + 1
		}
		p := &vstack.PlacementMap{Version: index, Stores: stores, Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
		var ids []vstack.StoreID
		for _, s := range stores {
			ids = append(ids, s.ID)
		}
		for pg := range p.Groups {
			p.Groups[pg] = vstack.PGTargets{Epoch: epoch, Targets: ids}
		}
		m.placement = p
		m.changed["placement"] = index
	})
}

// prepare issues the next attempt of each group, as the catalog's command does: targets
// and driver of a group are what to says.
func (m *metastore) prepare(to func(vstack.PG, vstack.PGTargets) (targets []vstack.StoreID, driver vstack.StoreID), pgs ...vstack.PG) {
	m.replace(func(groups []vstack.PGTargets) {
		for _, pg := range pgs {
			g := &groups[pg]
			next := vstack.NextEpoch{Epoch: g.Epoch + 1, Attempt: 1}
			if g.Next != nil {
				next.Attempt = g.Next.Attempt + 1
			}
			next.Targets, next.Driver = to(pg, *g)
			g.Next = &next
		}
	})
}

// replace puts a changed copy of the placement map in force.
func (m *metastore) replace(f func(groups []vstack.PGTargets)) {
	m.change(func(index uint64) {
		p := *m.placement
		p.Version, p.Groups = index, slices.Clone(p.Groups)
		f(p.Groups)
		m.placement = &p
		m.changed["placement"] = index
	})
}

// preparing counts the groups with a next epoch.
func (m *metastore) preparing() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.placement.Groups {
		if g.Next != nil {
			n++
		}
	}
	return n
}

// Placement is the map, for quicclient.
func (m *metastore) Placement(context.Context) (*vstack.PlacementMap, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.placement, nil
}

// ActivateEpochs puts those in force that are the last issued, as the catalog does.
func (m *metastore) ActivateEpochs(_ context.Context, changes []wire.EpochChange) (reply wire.ActivateReply, err error) {
	m.mu.Lock()
	m.asked++
	if m.down || m.noRaft {
		m.mu.Unlock()
		return reply, errDown
	}
	m.mu.Unlock()
	m.replace(func(groups []vstack.PGTargets) {
		for _, c := range changes {
			g := &groups[c.PG]
			if n := g.Next; n != nil && n.Epoch == c.Epoch && n.Attempt == c.Attempt {
				*g = vstack.PGTargets{Epoch: n.Epoch, Targets: n.Targets, Attempt: n.Attempt}
			}
			if g.Epoch == c.Epoch && g.Attempt == c.Attempt {
				reply.Activated = append(reply.Activated, c)
			} else {
				reply.Refused = append(reply.Refused, c)
			}
		}
	})
	return reply, nil
}

func (m *metastore) upload(u vstack.Upload) vstack.Upload {
	m.change(func(index uint64) {
		if u.State == vstack.UploadOpen {
			u.Incarnation, u.Index = vstack.Incarnation(index), index
		}
		m.uploads[u.ID] = u
		m.changed[u.ID] = index
	})
	return u
}

// publish ends the upload and publishes its video, in one change.
func (m *metastore) publish(u vstack.Upload, manifest *vstack.Manifest) {
	m.change(func(index uint64) {
		u.State = vstack.UploadPublished
		m.uploads[u.ID], m.changed[u.ID] = u, index
		m.videos[u.Video] = wire.FeedVideo{
			Video:    vstack.Video{ID: u.Video, State: vstack.VideoPublished, Class: vstack.ClassHot, Index: index, ClassIndex: index},
			Manifest: manifest,
		}
		m.changed[u.Video] = index
	})
}

func (m *metastore) remove(id vstack.VideoID) {
	m.change(func(index uint64) {
		m.videos[id] = wire.FeedVideo{Video: vstack.Video{ID: id, State: vstack.VideoDeleted, Index: index}}
		m.changed[id] = index
	})
}

func (m *metastore) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.wake)
	m.wake = make(chan struct{})
}

func (m *metastore) report(id vstack.StoreID) wire.StoreReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reports[id]
}

var errDown = errors.New("connection refused")

func (m *metastore) Heartbeat(_ context.Context, hb wire.Heartbeat) (wire.HeartbeatReply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return wire.HeartbeatReply{}, errDown
	}
	reply := wire.HeartbeatReply{Index: m.index, Level: m.level, Cluster: m.cluster, Restored: m.restored, Echo: map[vstack.StoreID]vstack.LSN{}, Refused: map[vstack.StoreID]string{}}
	for _, s := range hb.Stores {
		if !s.Cluster.IsZero() && s.Cluster != m.cluster || s.Seen > m.index {
			reply.Refused[s.ID] = vstack.ErrForeignCatalog.Error()
			continue
		}
		m.echo[s.ID] = max(m.echo[s.ID], s.LSN)
		m.reports[s.ID] = s
		reply.Echo[s.ID] = m.echo[s.ID]
	}
	reply.ClassFloor, reply.Whole = 1, m.wholes(hb)
	return reply, nil
}

// wholes answers claims as the leader does.
func (m *metastore) wholes(hb wire.Heartbeat) []wire.GroupWhole {
	if !m.placement.Ready() {
		return nil
	}
	s := reconfigure.State{Map: m.placement, Claims: map[vstack.StoreID]reconfigure.Claims{}}
	for id, r := range m.reports {
		s.Claims[id] = reconfigure.Claims{}
		for _, c := range r.Claims {
			s.Claims[id][c.PG] = reconfigure.Claim{Epoch: c.Epoch, Complete: c.Complete, Surveyed: c.Surveyed}
		}
	}
	wholes, _ := liveness.Answer(s, hb)
	return wholes
}

// Follow answers as a member of the first release.
func (m *metastore) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	if req.Wait >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Wait)
		defer cancel()
	}
	page, err := m.Feed(ctx, req.Since)
	if errors.Is(err, context.DeadlineExceeded) {
		page, err = wire.FeedPage{Index: req.Since, Cluster: page.Cluster}, nil
	}
	return feed.FromJSON(&page, req), err
}

func (m *metastore) Feed(ctx context.Context, since uint64) (wire.FeedPage, error) {
	for {
		m.mu.Lock()
		wake, down, held := m.wake, m.down, m.feedHeld
		page := wire.FeedPage{Index: m.index, Cluster: m.cluster}
		for id, u := range m.uploads {
			if m.changed[id] > since {
				page.Uploads = append(page.Uploads, u)
			}
		}
		for id, v := range m.videos {
			if m.changed[id] > since {
				page.Videos = append(page.Videos, v)
			}
		}
		if m.keys.Index > since {
			keys := m.keys
			page.Keys = &keys
		}
		if m.changed["placement"] > since {
			page.Placement = m.placement
		}
		m.mu.Unlock()
		switch {
		case down:
			return wire.FeedPage{}, errDown
		case page.Index > since && !held:
			return page, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return wire.FeedPage{Cluster: page.Cluster}, ctx.Err()
		}
	}
}

// peers fetches from the stores of the placement, one after another.
type peers struct {
	meta   *metastore
	client *http.Client
}

func (p *peers) FetchAs(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef, _ vstack.Scheme) (quicclient.Fetched, error) {
	p.meta.mu.Lock()
	placement := p.meta.placement
	p.meta.mu.Unlock()
	group, _ := placement.Group(slot)
	var errs []error
	for _, id := range group.Targets {
		s, _ := placement.Store(id)
		data, err := p.get(ctx, "https://"+s.Addr+wire.PathChunks+ref.ID.String())
		if err == nil && vstack.ChunkIDOf(data) == ref.ID {
			return quicclient.Fetched{Data: data}, nil
		}
		errs = append(errs, fmt.Errorf("store %s: %d bytes: %w", id, len(data), err))
	}
	return quicclient.Fetched{}, errors.Join(append(errs, vstack.ErrUnavailable)...)
}

func (p *peers) Fragment(ctx context.Context, from vstack.Store, v vstack.Value, piece vstack.Piece) ([]byte, []vstack.Piece, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+from.Addr+wire.FragmentPath(v.Chunk, piece), nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	return wire.ReadFragment(resp, piece.Size(v.Size))
}

func (p *peers) Ask(ctx context.Context, to vstack.Store, m message.Message) (message.Reply, error) {
	req, err := wire.NewPaxosRequest(ctx, "https://"+to.Addr, m, 0, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return wire.ReadReply(resp, m)
}

func (p *peers) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, wire.ReadError(resp)
	}
	return io.ReadAll(resp.Body)
}
