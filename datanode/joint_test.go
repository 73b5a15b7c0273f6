package datanode

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/datanode/converge"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	metacatalog "github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/classes"
	"github.com/vstack/vstack/metastore/liveness"
	"github.com/vstack/vstack/metastore/news"
	"github.com/vstack/vstack/metastore/placement"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// joint is a cluster of the parts that decide who holds what, with nothing in place of any
// of them: the catalog's state machine of two members, of which one lags; the leader's
// memory of reports and its planner; and of each store the follower of the feed, the groups
// that it knows, and the converge loop over its log. What is not there is how they reach
// each other, and votes: a group's next epoch is activated as soon as it is prepared.
type joint struct {
	t       *testing.T
	leader  *metacatalog.Catalog
	lagging *metacatalog.Catalog
	log     []*raft.Log
	monitor *liveness.Monitor
	planner *reconfigure.Planner
	classes *classes.Planner
	filled  [vstack.PlacementGroups]bool
	stores  []*jointStore
	chunks  map[vstack.ChunkID]vstack.Slot
	closed  time.Time // until then no peer gives a chunk
}

// jointStore is one store, on a host of its own.
type jointStore struct {
	j        *joint
	host     vstack.HostID
	disk     *superblock.Store
	past     *lineage
	follower *catalog.Follower
	loop     *converge.Loop
	answer   answers
	started  time.Time
	beats    uint64
	asked    atomic.Int64
}

func newJoint(t *testing.T, hosts, placed int) *joint {
	j := &joint{t: t, chunks: map[vstack.ChunkID]vstack.Slot{},
		monitor: liveness.New(liveness.Config{SuspectAfter: 3 * time.Second, DownAfter: 10 * time.Second, EchoEvery: time.Hour, Tick: 250 * time.Millisecond}),
		planner: reconfigure.New(reconfigure.Config{Window: 8, AttemptTime: 10 * time.Second}),
		classes: classes.New(classes.Config{Window: 4})}
	for _, c := range []**metacatalog.Catalog{&j.leader, &j.lagging} {
		var err error
		if *c, err = metacatalog.New(metacatalog.Config{Fatal: func(err error) { t.Error(err) }}); err != nil {
			t.Fatal(err)
		}
	}
	j.commit(command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.LevelPolicy})
	policy := vstack.DefaultRedundancy
	policy.Layout = vstack.Layout{Scheme: vstack.DefaultScheme}
	j.commit(command.SetRedundancy, command.SetRedundancyPayload{Policy: &policy})
	var stores []placement.Store
	for n := range hosts {
		s := j.newStore(n)
		if n < placed {
			stores = append(stores, placement.Store{ID: s.disk.ID(), Host: s.host})
		}
		j.commit(command.RegisterStores, command.RegisterStoresPayload{Host: s.host,
			Stores: []command.StoreRegistration{{ID: s.disk.ID(), Addr: fmt.Sprintf("127.0.0.%d:8081", n+1), Capacity: 1 << 40}}})
	}
	groups, err := placement.Plan(stores)
	if err != nil {
		t.Fatal(err)
	}
	j.commit(command.AssignPlacement, command.AssignPlacementPayload{Base: j.leader.View().PlacementVersion(), Groups: groups[:], Cluster: vstack.ClusterID{1}})
	return j
}

// commit applies an entry on the leader; the other member learns of it with the next ones.
func (j *joint) commit(typ command.Type, payload any) {
	j.t.Helper()
	b, err := command.Encode(typ, payload, "", time.Now())
	if err != nil {
		j.t.Fatal(err)
	}
	j.log = append(j.log, &raft.Log{Index: uint64(len(j.log) + 1), Type: raft.LogCommand, Data: b})
	if res, ok := j.leader.Apply(j.log[len(j.log)-1]).(*command.Result); ok && res.Err() != nil {
		j.t.Fatalf("%s: %v", typ, res.Err())
	}
	if behind := len(j.log) - 3; behind > 0 {
		j.lagging.Apply(j.log[behind-1])
	}
}

func (j *joint) newStore(n int) *jointStore {
	s := &jointStore{j: j, host: vstack.HostID(fmt.Sprintf("h%d", n+1)), started: time.Now()}
	log := slog.New(slog.DiscardHandler)
	dir := j.t.TempDir()
	var err error
	if s.disk, err = superblock.Open(context.Background(), superblock.Config{Dir: dir, SuperblockSize: 16 << 20, Logger: log}); err != nil {
		j.t.Fatal(err)
	}
	if err = s.disk.Upgrade(context.Background(), format.V3); err != nil {
		j.t.Fatal(err)
	}
	if s.past, err = openLineage(vfs.OS{}, dir, false); err != nil {
		j.t.Fatal(err)
	}
	s.follower, err = catalog.Open(catalog.Config{Feed: s, Stores: []vstack.StoreID{s.disk.ID()}, Logger: log,
		Join: func(m *vstack.PlacementMap) error { return s.past.Join(m, s.disk.ID()) }})
	if err != nil {
		j.t.Fatal(err)
	}
	s.loop, err = converge.New(converge.Config{
		Disk: s.disk, Catalog: converge.Followed{Follower: s.follower}, Votes: s, Groups: s.past, Answer: s.answer.fresh,
		Fetch: s.fetch, Complete: func() bool { return s.follower.Synced(1) }, Rate: converge.NewBudget(1 << 30), Logger: log,
		Settle: 100 * time.Millisecond, Interval: time.Second, Grace: 5 * time.Second,
	})
	if err != nil {
		j.t.Fatal(err)
	}
	j.stores = append(j.stores, s)
	return s
}

// Follow asks one member or the other, as a client does that finds one of them slow: two
// polls of the leader, then one of who lags, so that no kind of poll always meets the same.
// Request and page pass through their encoded forms.
func (s *jointStore) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	member := s.j.leader
	if s.asked.Add(1)%3 == 0 {
		member = s.j.lagging
	}
	r := news.Reader{Catalog: member, Hold: time.Second, Closed: context.Background()}
	body, _, err := r.ByGroups(ctx, req.Query())
	if err != nil {
		return feed.Page{}, err
	}
	return feed.Decode(body)
}

// Plan, Voted and Drop are those of an acceptor without votes.
func (s *jointStore) Plan()                                 {}
func (s *jointStore) Voted() map[vstack.ChunkID]vstack.Slot { return nil }
func (s *jointStore) Drop(ctx context.Context, ids []vstack.ChunkID) (int, error) {
	for _, id := range ids {
		if _, err := s.disk.Append(ctx, superblock.Record{Kind: superblock.KindDrop, Value: vstack.Value{Chunk: id}}); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

func (s *jointStore) keep(data []byte) {
	s.j.t.Helper()
	v := vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}
	if _, err := s.disk.Append(context.Background(), superblock.Record{Kind: superblock.KindChunk, Value: v, Data: data}); err != nil {
		s.j.t.Fatal(err)
	}
}

func (s *jointStore) has(id vstack.ChunkID) bool {
	_, ok := s.disk.Lookup(id)
	return ok
}

// fetch asks the targets that the leader's map names, and no one else: for a copy, or for
// enough fragments. Until closed no bytes come through.
func (s *jointStore) fetch(ctx context.Context, slot vstack.Slot, v vstack.Value, _ vstack.Scheme) ([]byte, error) {
	j := s.j
	if time.Now().Before(j.closed) {
		return nil, vstack.ErrUnavailable
	}
	g, _ := j.leader.View().Placement().Group(slot)
	return j.read(ctx, v, func(s *jointStore) bool { return g.Index(s.disk.ID()) >= 0 })
}

// read joins a chunk of what some of the stores have.
func (j *joint) read(ctx context.Context, v vstack.Value, from func(*jointStore) bool) ([]byte, error) {
	codec, err := erasure.New(vstack.DefaultScheme)
	if err != nil {
		return nil, err
	}
	fragments := make([][]byte, vstack.DefaultScheme.Total())
	for _, s := range j.stores {
		if !from(s) {
			continue
		}
		for _, p := range s.disk.Pieces(v.Chunk) {
			b := make([]byte, p.Piece.Size(v.Size))
			if _, err := s.disk.ReadPieceAt(ctx, v.Chunk, p.Piece, b, 0); err != nil {
				return nil, err
			}
			if p.Piece.IsChunk() {
				return b, nil
			}
			fragments[p.Piece.I] = b
		}
	}
	return codec.Decode(v, fragments)
}

// publish fills a video's slots on their acceptors and publishes it.
func (j *joint) publish(n byte, chunks int) {
	j.t.Helper()
	video, upload := vstack.VideoID{n}, vstack.UploadID{n}
	j.commit(command.OpenUpload, command.OpenUploadPayload{Upload: upload, Video: video, Title: "film", Policy: vstack.PolicyAuto,
		Owner: vstack.ProposerID{1}, Source: vstack.Source{Name: "a.mp4", Size: 5, SHA256: vstack.ChunkID{n}}})
	u, err := j.leader.View().Upload(upload)
	if err != nil {
		j.t.Fatal(err)
	}
	fill := func(seq uint32) vstack.ChunkRef {
		h := sha256.Sum256(binary.LittleEndian.AppendUint32([]byte{n}, seq))
		data := bytes.Repeat(h[:], 8)
		slot := vstack.Slot{Video: video, Track: 1, Seq: seq}
		g, _ := j.leader.View().Placement().Group(slot)
		for _, s := range j.stores {
			if slices.Contains(g.Acceptors(), s.disk.ID()) {
				s.keep(data)
			}
		}
		ref := vstack.ChunkRef{Seq: seq, ID: vstack.ChunkIDOf(data), Size: uint32(len(data)), Start: int64(seq) * 9000, Duration: 9000}
		j.chunks[ref.ID], j.filled[slot.PG()] = slot, true
		return ref
	}
	tr := vstack.Track{Number: 1, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 90000, Init: fill(0)}
	tr.Init.Start, tr.Init.Duration = 0, 0
	for seq := range uint32(chunks) {
		tr.Chunks = append(tr.Chunks, fill(seq+1))
	}
	m := &vstack.Manifest{Version: 1, Video: video, Duration: 0.1 * float64(chunks), Tracks: []vstack.Track{tr}}
	j.commit(command.Publish, command.PublishPayload{Upload: upload, Incarnation: u.Incarnation, Manifest: m})
}

// state is what the leader decides from.
func (j *joint) state() reconfigure.State {
	v := j.leader.View()
	s := reconfigure.State{Map: v.Placement(), Wanted: map[vstack.StoreID]vstack.StoreID{}, Claims: j.monitor.Claims(), Published: &j.filled, Now: time.Now()}
	for _, st := range v.Stores() {
		if !st.With.IsZero() {
			s.Wanted[st.ID] = st.With
		}
	}
	return s
}

// lead is one look of the leader, and what drivers did since the one before.
func (j *joint) lead() {
	j.t.Helper()
	var changes []wire.EpochChange
	for pg, g := range j.leader.View().Placement().Groups {
		if g.Next != nil {
			changes = append(changes, wire.EpochChange{PG: vstack.PG(pg), Epoch: g.Next.Epoch, Attempt: g.Next.Attempt})
		}
	}
	if len(changes) > 0 {
		j.commit(command.ActivateEpochs, command.ActivateEpochsPayload{Changes: changes})
	}
	d, err := j.planner.Decide(j.state())
	if err != nil {
		j.t.Fatal(err)
	}
	var p command.PrepareEpochsPayload
	for _, c := range d.Changes {
		p.Groups = append(p.Groups, command.EpochPreparation{PG: c.PG, From: c.From, After: c.After, Targets: c.Targets, Driver: c.Driver})
	}
	if len(p.Groups) > 0 {
		j.commit(command.PrepareEpochs, p)
	}
	view := j.leader.View()
	j.classes.Look(view)
	whole := reconfigure.NewWholes(j.state())
	for _, step := range j.classes.Decide(classes.State{Map: view.Placement(), Floor: view.ClassFloor(),
		Whole: func(pg vstack.PG) uint64 { return whole.Of(pg).Index }}).Steps {
		j.commit(command.StepClass, step)
	}
}

// beat is one heartbeat of a store and its answer.
func (s *jointStore) beat() {
	s.beats++
	hb := wire.Heartbeat{Host: s.host, Seq: s.beats, Stores: []wire.StoreReport{{ID: s.disk.ID(), Started: s.started, Claims: s.loop.Claims()}}}
	s.j.monitor.Record(1, hb, time.Now())
	reply := wire.HeartbeatReply{ClassFloor: s.j.leader.View().ClassFloor()}
	reply.Whole, reply.Short = liveness.Answer(s.j.state(), hb)
	s.answer.set(reply, time.Now())
}

// run has every store follow, converge and report, and the leader lead, until done says so.
// look is called four times a second.
func (j *joint) run(limit time.Duration, look func() (done bool)) {
	j.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, s := range j.stores {
		wg.Go(func() { _ = s.follower.Run(ctx) })
		wg.Go(func() { _ = s.loop.Run(ctx) })
	}
	for tick := 0; tick < int(limit/(250*time.Millisecond)); tick++ {
		time.Sleep(250 * time.Millisecond) // of the bubble's clock
		synctest.Wait()
		if look() {
			return
		}
		if tick%4 == 0 {
			for _, s := range j.stores {
				s.beat()
			}
		}
		j.lead()
	}
	d, err := j.planner.Decide(j.state())
	j.t.Errorf("not done within %v: %+v, %v", limit, d.Held, err)
}

// copies counts the stores that hold a chunk, those of its acceptors apart.
func (j *joint) copies(id vstack.ChunkID) (all, acceptors int) {
	g, _ := j.leader.View().Placement().Group(j.chunks[id])
	for _, s := range j.stores {
		if !s.has(id) {
			continue
		}
		if all++; slices.Contains(g.Acceptors(), s.disk.ID()) {
			acceptors++
		}
	}
	return all, acceptors
}

// TestStoresReplacedOneAfterTheOtherLeaveNoChunkWithFewerCopies: each order takes a copy
// out of every group that the store votes in. Nothing fails here, so no chunk ever has
// fewer than three copies. In the end each has exactly those of its acceptors, and the two
// hold nothing and know no group.
func TestStoresReplacedOneAfterTheOtherLeaveNoChunkWithFewerCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJoint(t, 7, 5)
		defer func() {
			for _, s := range j.stores {
				_ = s.follower.Close()
				_ = s.disk.Close()
			}
		}()
		j.publish(1, 40)
		j.run(time.Minute, func() bool { return len(j.stores[0].loop.Claims()) > 0 })
		var orders command.SetLeavingPayload
		gone := j.stores[:2]
		for i, s := range gone { // a store that is done is a spare, which the other must not take
			orders.Stores = append(orders.Stores, command.StoreLeave{ID: s.disk.ID(), Why: vstack.LeaveOrdered, With: j.stores[5+i].disk.ID()})
		}
		j.commit(command.SetLeaving, orders)
		j.closed = time.Now().Add(time.Minute) // far longer than any grace
		renamed := false
		j.run(time.Hour, func() bool {
			m, settled, roles := j.leader.View().Placement(), true, 0
			for _, g := range m.Groups {
				for _, s := range gone {
					if g.Index(s.disk.ID()) >= 0 || g.Next != nil {
						roles++
					}
				}
			}
			if !renamed && roles < vstack.PlacementGroups { // a title on the way changes the row and no class
				title := "renamed"
				j.commit(command.PatchVideo, command.PatchVideoPayload{Video: vstack.VideoID{1}, Title: &title})
				renamed = true
			}
			for id := range maps.Keys(j.chunks) {
				all, acceptors := j.copies(id)
				if all < vstack.Acceptors {
					t.Fatalf("chunk of group %d has %d copies with nothing lost", j.chunks[id].PG(), all)
				}
				settled = settled && all == vstack.Acceptors && acceptors == all
			}
			for _, s := range gone {
				settled = settled && s.disk.Stats().Chunks == 0 && len(list(s.past.Known())) == 0
			}
			return settled && roles == 0
		})
	})
}
