package vote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// voter is a Voter over a real log, which votes in every group.
func voter(t *testing.T, fetch func(context.Context, vstack.Slot, vstack.Value) ([]byte, error)) (*Voter, *superblock.Store, vstack.Upload) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	disk, err := superblock.Open(t.Context(), superblock.Config{Dir: t.TempDir(), SuperblockSize: 16 << 20, Logger: log, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	v, err := New(Config{Log: disk, Fetch: fetch, Buffers: serve.NewBuffers(1), Logger: log, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = v.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	u := vstack.Upload{ID: vstack.UploadID{1}, Video: vstack.VideoID{2}, Owner: vstack.ProposerID{3}, State: vstack.UploadOpen, Incarnation: 1, Index: 1}
	p := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range p.Groups {
		p.Groups[i] = vstack.PGTargets{Epoch: 1, Targets: []vstack.StoreID{disk.ID()}}
	}
	v.Apply(feed.Page{Index: 1, Uploads: []vstack.Upload{u}, Placement: p})
	v.Echo(0, 1)
	return v, disk, u
}

func accept(u vstack.Upload, seq, round uint32, data []byte) message.Accept {
	return message.Accept{
		Slot: vstack.Slot{Video: u.Video, Seq: seq}, Epoch: 1, Upload: u.ID, UploadIndex: u.Index,
		Ballot: vstack.Ballot{Incarnation: u.Incarnation, Round: round, Proposer: u.Owner},
		Value:  vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))},
	}
}

func TestBytesFromAPeerAreVerified(t *testing.T) {
	data := bytes.Repeat([]byte("chunk"), 1000)
	answer := []byte(nil)
	v, disk, u := voter(t, func(context.Context, vstack.Slot, vstack.Value) ([]byte, error) { return answer, nil })
	for name, wrong := range map[string][]byte{"short": data[:10], "other bytes": bytes.Repeat([]byte("wrong"), 1000), "none": nil} {
		answer = wrong
		reply, err := v.Do(t.Context(), accept(u, 1, 1, data), nil, 0)
		if n, ok := reply.(message.Nack); err != nil || !ok || n.Reason != vstack.ErrHashMismatch && n.Reason != vstack.ErrBytesMissing {
			t.Errorf("%s: %+v, %v", name, reply, err)
		}
		if _, ok := disk.Lookup(vstack.ChunkIDOf(data)); ok || disk.Stats().Chunks != 0 {
			t.Fatalf("%s: wrong bytes were stored", name)
		}
	}
	answer = data
	reply, err := v.Do(t.Context(), accept(u, 1, 1, data), nil, 0)
	if _, ok := reply.(message.Accepted); !ok || err != nil {
		t.Fatalf("%+v, %v", reply, err)
	}
	buf := make([]byte, len(data))
	if _, err := disk.ReadAt(t.Context(), vstack.ChunkIDOf(data), buf, 0); err != nil || !bytes.Equal(buf, data) {
		t.Errorf("stored: %v", err)
	}
}

func TestVotedChunksAreForgottenWithTheirUpload(t *testing.T) {
	v, disk, u := voter(t, func(context.Context, vstack.Slot, vstack.Value) ([]byte, error) { return nil, errors.New("no peer") })
	data := []byte("a chunk")
	if reply, err := v.Do(t.Context(), accept(u, 1, 0, data), data, 0); err != nil {
		t.Fatal(reply, err)
	}
	id := vstack.ChunkIDOf(data)
	if slot := v.Voted()[id]; slot != (vstack.Slot{Video: u.Video, Seq: 1}) {
		t.Errorf("voted in %s", slot)
	}
	before := disk.LSN()
	u.State = vstack.UploadAborted
	v.Apply(feed.Page{Index: 2, Uploads: []vstack.Upload{u}})
	for len(v.Voted()) > 0 { // Run appends what forgets the upload
		select {
		case <-t.Context().Done():
			t.Fatal("votes of an ended upload are kept")
		default:
		}
	}
	if disk.LSN() <= before {
		t.Error("the log does not know that the upload is forgotten")
	}
	v.Plan()
	if n, err := v.Drop(t.Context(), []vstack.ChunkID{id}); n != 1 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	if _, ok := disk.Lookup(id); ok {
		t.Error("the dropped chunk is still there")
	}
}

// countingLog counts the reads of chunks.
type countingLog struct {
	*superblock.Store
	reads atomic.Int64
}

func (l *countingLog) ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error) {
	l.reads.Add(1)
	return l.Store.ReadAt(ctx, id, p, off)
}

// TestInstallReadsOnlyWhatItDoesNotVouchFor stages votes for a chunk that the store voted
// for, one that it merely holds, and one that it lacks.
func TestInstallReadsOnlyWhatItDoesNotVouchFor(t *testing.T) {
	voted, held, lacking := []byte("voted for"), []byte("merely held"), []byte("at a peer")
	var fetched atomic.Int64
	v, disk, u := voter(t, func(context.Context, vstack.Slot, vstack.Value) ([]byte, error) { fetched.Add(1); return lacking, nil })
	log := &countingLog{Store: disk}
	v.cfg.Log = log
	slots := map[string]vstack.Slot{}
	var pg vstack.PG
	for seq := uint32(1); len(slots) < 3; seq++ { // three slots of one group
		s := vstack.Slot{Video: u.Video, Seq: seq}
		if len(slots) == 0 {
			pg = s.PG()
		}
		if s.PG() == pg {
			slots[[]string{"voted", "held", "lacking"}[len(slots)]] = s
		}
	}
	if r, err := v.Do(t.Context(), accept(u, slots["voted"].Seq, 0, voted), voted, 0); err != nil {
		t.Fatal(r, err)
	}
	value := func(b []byte) vstack.Value { return vstack.Value{Chunk: vstack.ChunkIDOf(b), Size: uint32(len(b))} }
	if _, err := disk.Append(t.Context(), superblock.Record{Kind: superblock.KindChunk, Value: value(held), Data: held}); err != nil {
		t.Fatal(err)
	}
	log.reads.Store(0)
	install := message.Install{PG: pg, Epoch: 2, Attempt: 1, First: true, Final: true, Votes: []message.Vote{
		{Slot: slots["voted"], Upload: u.ID, Value: value(voted)},
		{Slot: slots["held"], Upload: u.ID, Value: value(held)},
		{Slot: slots["lacking"], Upload: u.ID, Value: value(lacking)},
	}}
	if r, err := v.Do(t.Context(), install, nil, 0); err != nil {
		t.Fatal(err)
	} else if r, ok := r.(message.Installed); !ok || !r.Final {
		t.Fatalf("%+v", r)
	}
	if log.reads.Load() != 1 || fetched.Load() != 1 {
		t.Errorf("%d chunks read and %d fetched, want one each", log.reads.Load(), fetched.Load())
	}
	if _, ok := disk.Lookup(vstack.ChunkIDOf(lacking)); !ok {
		t.Error("the chunk from the peer was not stored")
	}
}

// TestAnInstallBringsSeveralChunksAtOnce has every question to a peer wait for a second one: a
// newcomer of a group with many open uploads would wait for them one by one.
func TestAnInstallBringsSeveralChunksAtOnce(t *testing.T) {
	const chunks = 10
	chunk := map[vstack.ChunkID][]byte{}
	var asked atomic.Int64
	two := make(chan struct{})
	v, disk, u := voter(t, func(ctx context.Context, _ vstack.Slot, value vstack.Value) ([]byte, error) {
		if asked.Add(1) == 2 {
			close(two)
		}
		select {
		case <-two:
			return chunk[value.Chunk], nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	v.cfg.FetchTimeout = 10 * time.Second
	pg := vstack.Slot{Video: u.Video, Seq: 1}.PG()
	install := message.Install{PG: pg, Epoch: 2, Attempt: 1, First: true, Final: true}
	for seq := uint32(1); len(install.Votes) < chunks+1; seq++ {
		s := vstack.Slot{Video: u.Video, Seq: seq}
		if s.PG() != pg {
			continue
		}
		data := fmt.Appendf(nil, "chunk %d", len(install.Votes)%chunks) // the last is the first once more
		value := vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}
		chunk[value.Chunk] = data
		install.Votes = append(install.Votes, message.Vote{Slot: s, Upload: u.ID, Value: value})
	}
	if r, err := v.Do(t.Context(), install, nil, 0); err != nil {
		t.Fatal(err)
	} else if r, ok := r.(message.Installed); !ok || !r.Final {
		t.Fatalf("%+v", r)
	}
	if asked.Load() != chunks {
		t.Errorf("peers were asked %d times for %d chunks", asked.Load(), chunks)
	}
	for id := range chunk {
		if _, ok := disk.Lookup(id); !ok {
			t.Errorf("chunk %s was not stored", id.Short())
		}
	}
}

func TestEveryRecordComesBack(t *testing.T) {
	slot := vstack.Slot{Video: vstack.VideoID{1}, Track: 2, Seq: 3}
	ballot := vstack.Ballot{Incarnation: 4, Round: 5, Proposer: vstack.ProposerID{6}}
	value := vstack.Value{Chunk: vstack.ChunkID{7}, Size: 8}
	for _, d := range []chunkpaxos.Durable{
		{Kind: chunkpaxos.DurableVote, Slot: slot, PG: 9, Epoch: 10, Upload: vstack.UploadID{11}, Ballot: ballot, Value: value},
		{Kind: chunkpaxos.DurablePromise, Slot: slot, PG: 9, Epoch: 10, Upload: vstack.UploadID{11}, Ballot: ballot},
		{Kind: chunkpaxos.DurableMinimum, Slot: vstack.Slot{Video: slot.Video}, Upload: vstack.UploadID{11}, Ballot: ballot},
		{Kind: chunkpaxos.DurableSeal, PG: 9, Epoch: 10},
		{Kind: chunkpaxos.DurableAmnesia, PG: 9, Epoch: 10},
		{Kind: chunkpaxos.DurableInstall, Slot: slot, PG: 9, Epoch: 10, Upload: vstack.UploadID{11}, Ballot: message.InstallBallot(3), Value: value},
		{Kind: chunkpaxos.DurableInstall, PG: 9, Epoch: 10, Ballot: message.InstallBallot(3)},
	} {
		r := recordOf(d)
		if err := r.Validate(); err != nil {
			t.Errorf("kind %d: %v", d.Kind, err)
		}
		d.LSN = 12
		if got, ok := durableOf(r, 12); !ok || got != d {
			t.Errorf("kind %d: came back as %+v, want %+v", d.Kind, got, d)
		}
	}
}
