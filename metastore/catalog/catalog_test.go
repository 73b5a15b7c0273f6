package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func newCatalog(t testing.TB) *Catalog {
	c, _ := newHaltable(t)
	return c
}

func newHaltable(t testing.TB) (*Catalog, *error) {
	t.Helper()
	var fatal error
	c, err := New(Config{Fatal: func(err error) { fatal = err }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c, &fatal
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// entry encodes a command as the log entry at an index.
func entry(t testing.TB, index uint64, typ command.Type, payload any, request string) *raft.Log {
	b, err := command.Encode(typ, payload, request, epoch.Add(time.Duration(index)*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Index: index, Type: raft.LogCommand, Data: b}
}

// driver applies commands at rising indexes.
type driver struct {
	t     testing.TB
	c     *Catalog
	index uint64
}

func (d *driver) do(typ command.Type, payload any, request string) *command.Result {
	d.index++
	return d.c.Apply(entry(d.t, d.index, typ, payload, request)).(*command.Result)
}

func (d *driver) must(typ command.Type, payload any) *command.Result {
	r := d.do(typ, payload, "")
	if err := r.Err(); err != nil {
		d.t.Fatalf("%s: %v", typ, err)
	}
	return r
}

func store(n int) vstack.StoreID       { return vstack.StoreID{1, byte(n)} }
func video(n int) vstack.VideoID       { return vstack.VideoID{2, byte(n >> 8), byte(n)} }
func upload(n int) vstack.UploadID     { return vstack.UploadID{3, byte(n >> 8), byte(n)} }
func proposer(n int) vstack.ProposerID { return vstack.ProposerID{4, byte(n)} }

func plan(stores int) [][]vstack.StoreID {
	out := make([][]vstack.StoreID, vstack.PlacementGroups)
	for pg := range out {
		for i := range min(stores, vstack.Targets) {
			out[pg] = append(out[pg], store((pg+i)%stores))
		}
	}
	return out
}

// placed is a catalog with three stores and a placement.
func placed(t testing.TB) *driver { return placedOn(t, 3) }

func placedOn(t testing.TB, stores int) *driver {
	d := &driver{t: t, c: newCatalog(t)}
	for h := range stores {
		d.must(command.RegisterStores, registration(h))
	}
	d.must(command.AssignPlacement, command.AssignPlacementPayload{Base: d.index, Groups: plan(stores)})
	return d
}

func registration(h int) command.RegisterStoresPayload {
	return command.RegisterStoresPayload{Host: vstack.HostID(fmt.Sprintf("h%d", h)), Stores: []command.StoreRegistration{{ID: store(h), Addr: fmt.Sprintf("127.0.0.%d:8081", h+1), Capacity: 100}}}
}

func opening(n int) command.OpenUploadPayload {
	return command.OpenUploadPayload{Upload: upload(n), Video: video(n), Title: fmt.Sprintf("video %d", n), Policy: vstack.PolicyAuto, Owner: proposer(1),
		Source: vstack.Source{Name: "a.mp4", Size: 5, SHA256: vstack.ChunkID{byte(n)}}}
}

func manifestOf(n, chunks int) *vstack.Manifest {
	tr := vstack.Track{Number: 3, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 90000, FrameRate: 29.97, Init: vstack.ChunkRef{ID: vstack.ChunkID{9}, Size: 600}}
	for i := range chunks {
		tr.Chunks = append(tr.Chunks, vstack.ChunkRef{Seq: uint32(i + 1), ID: vstack.ChunkID{7, byte(n), byte(i >> 8), byte(i)}, Size: 1000, Start: int64(i) * 9000, Duration: 9000})
	}
	return &vstack.Manifest{Version: 1, Video: video(n), Duration: 0.1 * float64(chunks), Tracks: []vstack.Track{tr}}
}

func (d *driver) publish(n, chunks int) {
	u := d.must(command.OpenUpload, opening(n)).Upload
	d.must(command.Publish, command.PublishPayload{Upload: upload(n), Incarnation: u.Incarnation, Manifest: manifestOf(n, chunks)})
}

func checksum(t testing.TB, c *Catalog) string {
	t.Helper()
	s, err := c.View().Checksum()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func feedOf(t testing.TB, v *View, since uint64) wire.FeedPage {
	t.Helper()
	page, err := v.Feed(since)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// partedOf is the snapshot that Raft is given.
func partedOf(t testing.TB, c *Catalog) []byte {
	t.Helper()
	s, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	out := &kept{}
	if err := s.Persist(out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// kept is a sink in memory.
type kept struct{ bytes.Buffer }

func (*kept) ID() string    { return "kept" }
func (*kept) Cancel() error { return nil }
func (*kept) Close() error  { return nil }

func snapshotOf(t testing.TB, c *Catalog) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.View().Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// drawCommand makes commands of which some are accepted and some refused.
func drawCommand(t *rapid.T, index uint64) (command.Type, any) {
	n := rapid.IntRange(0, 5).Draw(t, "n")
	inc := vstack.Incarnation(rapid.IntRange(0, 8).Draw(t, "incarnation"))
	switch rapid.IntRange(0, 21).Draw(t, "command") {
	case 0, 1:
		return command.OpenUpload, opening(n)
	case 2:
		return command.ResumeUpload, command.ResumeUploadPayload{Upload: upload(n), Owner: proposer(n)}
	case 3, 4:
		return command.Publish, command.PublishPayload{Upload: upload(n), Incarnation: inc, Manifest: manifestOf(n, rapid.IntRange(0, 3).Draw(t, "chunks"))}
	case 5:
		return command.AbortUpload, command.AbortUploadPayload{Upload: upload(n), Incarnation: inc}
	case 6:
		return command.DeleteVideo, command.DeleteVideoPayload{Video: video(n)}
	case 7:
		title := rapid.StringN(0, 20, 40).Draw(t, "title")
		return command.PatchVideo, command.PatchVideoPayload{Video: video(n), Title: &title}
	case 8:
		return command.SetPolicy, command.SetPolicyPayload{Video: video(n), Policy: vstack.ClassPolicy(rapid.SampledFrom([]string{"hot", "cold", "tepid"}).Draw(t, "policy"))}
	case 9:
		return command.AddViews, command.AddViewsPayload{Views: []command.VideoViews{{Video: video(n), Count: int64(rapid.IntRange(-1, 9).Draw(t, "views"))}, {Video: video(1), Count: 2}}}
	case 10:
		return command.RegisterStores, registration(n)
	case 11, 12, 13:
		return drawEpochCommand(t, n)
	case 14:
		return command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.Level(rapid.IntRange(1, int(vstack.NewestLevel)).Draw(t, "level"))}
	case 15, 16:
		return drawStep(t, n, index)
	case 17, 18:
		return drawOrder(t, n)
	case 19, 20:
		return drawAccess(t, n)
	}
	if rapid.Bool().Draw(t, "assign") {
		return command.AssignPlacement, command.AssignPlacementPayload{Base: index, Groups: plan(3)}
	}
	return command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(n), State: vstack.StoreState(rapid.SampledFrom([]string{"up", "suspect", "down"}).Draw(t, "state"))}},
		Echoes: []command.StoreEcho{{ID: store(n), LSN: vstack.LSN(inc)}}}
}

func TestMembersAgreeHoweverTheyGetTheLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var log []*raft.Log
		for h := range 3 {
			log = append(log, entry(t, uint64(h+1), command.RegisterStores, registration(h), ""))
		}
		log = append(log, entry(t, 4, command.AssignPlacement, command.AssignPlacementPayload{Base: 3, Groups: plan(3)}, ""))
		n := rapid.IntRange(1, 60).Draw(rt, "commands")
		for i := range n {
			index := uint64(10 + 2*i) // gaps: elections take indexes too
			typ, payload := drawCommand(rt, index-2)
			request := rapid.SampledFrom([]string{"", "", "r1", "r2", "r3"}).Draw(rt, "request")
			log = append(log, entry(t, index, typ, payload, request))
		}
		one, batched, restored := newCatalog(t), newCatalog(t), newCatalog(t)
		for _, l := range log {
			one.Apply(l)
		}
		for rest := log; len(rest) > 0; {
			k := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			batched.ApplyBatch(rest[:k])
			rest = rest[k:]
		}
		cut := rapid.IntRange(0, len(log)).Draw(rt, "snapshot at")
		before := newCatalog(t)
		for _, l := range log[:cut] {
			before.Apply(l)
		}
		if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, before)))); err != nil {
			rt.Fatal(err)
		}
		for _, l := range log[cut:] {
			restored.Apply(l)
		}
		want := checksum(t, one)
		if got := checksum(t, batched); got != want {
			rt.Fatalf("in batches: %s, want %s", got, want)
		}
		if got := checksum(t, restored); got != want {
			rt.Fatalf("with a snapshot after %d: %s, want %s", cut, got, want)
		}
		if !bytes.Equal(snapshotOf(t, one), snapshotOf(t, restored)) {
			rt.Fatal("equal checksums over unequal catalogs")
		}
		checkIncarnations(rt, one)
	})
}

// checkIncarnations wants each upload's incarnation to be its own.
func checkIncarnations(t *rapid.T, c *Catalog) {
	seen := map[vstack.Incarnation]vstack.UploadID{}
	all, _ := c.View().Uploads("", vstack.ChunkID{}, 0, 1000)
	for _, u := range all {
		if other, ok := seen[u.Incarnation]; ok || u.Incarnation == 0 {
			t.Fatalf("uploads %s and %s share incarnation %d", u.ID, other, u.Incarnation)
		}
		seen[u.Incarnation] = u.ID
	}
}

func TestChecksumSeesEveryKindOfChange(t *testing.T) {
	d := placed(t)
	d.publish(1, 2)
	last := checksum(t, d.c)
	title := "new"
	for _, step := range []struct {
		typ     command.Type
		payload any
	}{
		{command.PatchVideo, command.PatchVideoPayload{Video: video(1), Title: &title}},
		{command.SetPolicy, command.SetPolicyPayload{Video: video(1), Policy: vstack.PolicyHot}},
		{command.AddViews, command.AddViewsPayload{Views: []command.VideoViews{{Video: video(1), Count: 1}}}},
		{command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(0), State: vstack.StoreDown}}}},
		{command.SetLiveness, command.SetLivenessPayload{Echoes: []command.StoreEcho{{ID: store(0), LSN: 9}}}},
		{command.SetLeaving, leave(0, vstack.LeaveOrdered, 1)},
		{command.PrepareEpochs, prepare(preparation(3, 1, 0, 2, 1, 0))},
		{command.PrepareEpochs, prepare(preparation(3, 1, 1, 2, 1, 0))},
		{command.ActivateEpochs, activate(change(3, 2, 2))},
		{command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.LevelFragments}},
		{command.StepClass, command.StepClassPayload{Video: video(1), From: vstack.ClassHot, To: vstack.ClassCooling, Layout: vstack.Layout{Scheme: vstack.Scheme{K: 2, M: 1}}}},
		{command.PrepareEpochs, prepare(preparation(4, 1, 0, 0, 2, 1))},
		{command.ActivateEpochs, activate(change(4, 2, 1))},
		{command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.LevelPolicy}},
		{command.OrderStores, orderOf(vstack.OrderCordon, 1)},
		{command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)}},
	} {
		sum := d.c.View().meta.Sum
		d.must(step.typ, step.payload)
		if d.c.View().meta.Sum == sum && step.typ != command.RaiseLevel { // which is in the meta row
			t.Errorf("%s leaves the sum of rows as it was", step.typ)
		}
		if s := checksum(t, d.c); s == last {
			t.Errorf("%s leaves the checksum as it was", step.typ)
		} else {
			last = s
		}
	}
}

func TestUnknownEntriesHaltTheMember(t *testing.T) {
	good := entry(t, 9, command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)}, "")
	raw := func(s string) *raft.Log { return &raft.Log{Index: 9, Type: raft.LogCommand, Data: []byte(s)} }
	for name, l := range map[string]*raft.Log{
		"type":            raw(`{"type":"set_colour","version":1,"payload":{},"time":"2026-01-01T00:00:00Z"}`),
		"version":         raw(`{"type":"delete_video","version":2,"payload":{},"time":"2026-01-01T00:00:00Z"}`),
		"field":           raw(`{"type":"delete_video","version":1,"payload":{"colour":1},"time":"2026-01-01T00:00:00Z"}`),
		"not JSON":        raw(`delete everything`),
		"trailing data":   {Index: 9, Type: raft.LogCommand, Data: append(bytes.Clone(good.Data), '1')},
		"an index before": {Index: 2, Type: raft.LogCommand, Data: good.Data},
	} {
		t.Run(name, func(t *testing.T) {
			c, fatal := newHaltable(t)
			d := &driver{t: t, c: c}
			for h := range 3 {
				d.must(command.RegisterStores, registration(h))
			}
			sum := checksum(t, c)
			res := c.ApplyBatch([]*raft.Log{entry(t, 4, command.RegisterStores, registration(4), ""), l})
			if *fatal == nil {
				t.Fatal("the member goes on")
			}
			if r := res[1].(*command.Result); !errors.Is(r.Err(), vstack.ErrInternal) {
				t.Errorf("answered %v", r.Err())
			}
			if got := checksum(t, c); got != sum {
				t.Error("the batch with the bad entry left something")
			}
			if r := c.Apply(entry(t, 20, command.RegisterStores, registration(5), "")).(*command.Result); r.Err() == nil {
				t.Error("a halted catalog accepts commands")
			}
			if _, err := c.Snapshot(); err == nil {
				t.Error("a halted catalog makes snapshots")
			}
		})
	}
}

func TestARepeatedRequestGetsTheFirstAnswer(t *testing.T) {
	d := placed(t)
	first := d.do(command.OpenUpload, opening(1), "req")
	second := d.do(command.OpenUpload, opening(2), "req") // a forwarder made other ids on its retry
	if second.Upload == nil || second.Upload.ID != upload(1) || second.Index != first.Index {
		t.Fatalf("repeat answered %+v", second)
	}
	if _, err := d.c.View().Video(video(2)); !errors.Is(err, vstack.ErrNotFound) {
		t.Fatalf("the repeat was applied: %v", err)
	}
	refused := d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(9)}, "req-2")
	d.must(command.OpenUpload, opening(9))
	if again := d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(9)}, "req-2"); again.Code != refused.Code || again.Index != refused.Index {
		t.Fatalf("a refusal is not remembered: %+v", again)
	}
	if other := d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)}, "req"); !errors.Is(other.Err(), vstack.ErrInvalid) {
		t.Fatalf("another command under a used id: %v", other.Err())
	}
}

func TestRequestsAreForgottenOldestFirst(t *testing.T) {
	d := &driver{t: t, c: newCatalog(t)}
	var batch []*raft.Log
	for i := range MaxRequests + 5 {
		d.index++
		batch = append(batch, entry(t, d.index, command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)}, fmt.Sprint("r", i)))
	}
	d.c.ApplyBatch(batch)
	if n := d.c.View().meta.Requests; n != MaxRequests {
		t.Fatalf("%d requests are kept, want %d", n, MaxRequests)
	}
	if r := d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)}, "r5"); r.Index != 6 {
		t.Errorf("the oldest kept request answers index %d, want 6", r.Index)
	}
	if r := d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)}, "r4"); r.Index != d.index {
		t.Errorf("a forgotten request answers index %d, want its own %d", r.Index, d.index)
	}
}

func TestCommandsRoundTripThroughJSON(t *testing.T) {
	l := entry(t, 1, command.OpenUpload, opening(1), "id")
	cmd, err := command.Decode(l.Data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := command.PayloadOf[command.OpenUploadPayload](cmd)
	if err != nil || p != opening(1) || !cmd.Time.Equal(epoch.Add(time.Second)) || cmd.RequestID != "id" {
		t.Fatalf("%+v, %v", p, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(l.Data, &fields); err != nil || fields["type"] != "open_upload" || fields["version"] != 1.0 {
		t.Fatalf("%v, %v", fields, err)
	}
}
