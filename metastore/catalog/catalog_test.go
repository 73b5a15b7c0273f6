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
func entry(t testing.TB, index uint64, typ Type, payload any, request string) *raft.Log {
	b, err := Encode(typ, payload, request, epoch.Add(time.Duration(index)*time.Second))
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

func (d *driver) do(typ Type, payload any, request string) *Result {
	d.index++
	return d.c.Apply(entry(d.t, d.index, typ, payload, request)).(*Result)
}

func (d *driver) must(typ Type, payload any) *Result {
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
func placed(t testing.TB) *driver {
	d := &driver{t: t, c: newCatalog(t)}
	for h := range 3 {
		d.must(RegisterStores, registration(h))
	}
	d.must(AssignPlacement, AssignPlacementPayload{Base: d.index, Groups: plan(3)})
	return d
}

func registration(h int) RegisterStoresPayload {
	return RegisterStoresPayload{Host: vstack.HostID(fmt.Sprintf("h%d", h)), Stores: []StoreRegistration{{ID: store(h), Addr: fmt.Sprintf("127.0.0.%d:8081", h+1), Capacity: 100}}}
}

func opening(n int) OpenUploadPayload {
	return OpenUploadPayload{Upload: upload(n), Video: video(n), Title: fmt.Sprintf("video %d", n), Policy: vstack.PolicyAuto, Owner: proposer(1),
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
	u := d.must(OpenUpload, opening(n)).Upload
	d.must(Publish, PublishPayload{Upload: upload(n), Incarnation: u.Incarnation, Manifest: manifestOf(n, chunks)})
}

func checksum(t testing.TB, c *Catalog) string {
	t.Helper()
	s, err := c.View().Checksum()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func snapshotOf(t testing.TB, c *Catalog) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.View().Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// drawCommand makes commands of which some are accepted and some refused.
func drawCommand(t *rapid.T, index uint64) (Type, any) {
	n := rapid.IntRange(0, 5).Draw(t, "n")
	inc := vstack.Incarnation(rapid.IntRange(0, 8).Draw(t, "incarnation"))
	switch rapid.IntRange(0, 14).Draw(t, "command") {
	case 0, 1:
		return OpenUpload, opening(n)
	case 2:
		return ResumeUpload, ResumeUploadPayload{Upload: upload(n), Owner: proposer(n)}
	case 3, 4:
		return Publish, PublishPayload{Upload: upload(n), Incarnation: inc, Manifest: manifestOf(n, rapid.IntRange(0, 3).Draw(t, "chunks"))}
	case 5:
		return AbortUpload, AbortUploadPayload{Upload: upload(n), Incarnation: inc}
	case 6:
		return DeleteVideo, DeleteVideoPayload{Video: video(n)}
	case 7:
		title := rapid.StringN(0, 20, 40).Draw(t, "title")
		return PatchVideo, PatchVideoPayload{Video: video(n), Title: &title}
	case 8:
		return SetPolicy, SetPolicyPayload{Video: video(n), Policy: vstack.ClassPolicy(rapid.SampledFrom([]string{"hot", "cold", "tepid"}).Draw(t, "policy"))}
	case 9:
		return AddViews, AddViewsPayload{Views: []VideoViews{{video(n), int64(rapid.IntRange(-1, 9).Draw(t, "views"))}, {video(1), 2}}}
	case 10:
		return RegisterStores, registration(n)
	case 11, 12, 13:
		return drawEpochCommand(t, n)
	}
	if rapid.Bool().Draw(t, "assign") {
		return AssignPlacement, AssignPlacementPayload{Base: index, Groups: plan(3)}
	}
	return SetLiveness, SetLivenessPayload{States: []StoreLiveness{{store(n), vstack.StoreState(rapid.SampledFrom([]string{"up", "suspect", "down"}).Draw(t, "state"))}},
		Echoes: []StoreEcho{{store(n), vstack.LSN(inc)}}}
}

func TestMembersAgreeHoweverTheyGetTheLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var log []*raft.Log
		for h := range 3 {
			log = append(log, entry(t, uint64(h+1), RegisterStores, registration(h), ""))
		}
		log = append(log, entry(t, 4, AssignPlacement, AssignPlacementPayload{Base: 3, Groups: plan(3)}, ""))
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
		typ     Type
		payload any
	}{
		{PatchVideo, PatchVideoPayload{Video: video(1), Title: &title}},
		{SetPolicy, SetPolicyPayload{Video: video(1), Policy: vstack.PolicyHot}},
		{AddViews, AddViewsPayload{Views: []VideoViews{{video(1), 1}}}},
		{SetLiveness, SetLivenessPayload{States: []StoreLiveness{{store(0), vstack.StoreDown}}}},
		{SetLiveness, SetLivenessPayload{Echoes: []StoreEcho{{store(0), 9}}}},
		{SetLeaving, leave(0, vstack.LeaveOrdered, 1)},
		{PrepareEpochs, prepare(preparation(3, 1, 0, 2, 1, 0))},
		{PrepareEpochs, prepare(preparation(3, 1, 1, 2, 1, 0))},
		{ActivateEpochs, activate(change(3, 2, 2))},
		{DeleteVideo, DeleteVideoPayload{Video: video(1)}},
	} {
		sum := d.c.View().meta.Sum
		d.must(step.typ, step.payload)
		if d.c.View().meta.Sum == sum {
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
	good := entry(t, 9, DeleteVideo, DeleteVideoPayload{Video: video(1)}, "")
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
				d.must(RegisterStores, registration(h))
			}
			sum := checksum(t, c)
			res := c.ApplyBatch([]*raft.Log{entry(t, 4, RegisterStores, registration(4), ""), l})
			if *fatal == nil {
				t.Fatal("the member goes on")
			}
			if r := res[1].(*Result); !errors.Is(r.Err(), vstack.ErrInternal) {
				t.Errorf("answered %v", r.Err())
			}
			if got := checksum(t, c); got != sum {
				t.Error("the batch with the bad entry left something")
			}
			if r := c.Apply(entry(t, 20, RegisterStores, registration(5), "")).(*Result); r.Err() == nil {
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
	first := d.do(OpenUpload, opening(1), "req")
	second := d.do(OpenUpload, opening(2), "req") // a forwarder made other ids on its retry
	if second.Upload == nil || second.Upload.ID != upload(1) || second.Index != first.Index {
		t.Fatalf("repeat answered %+v", second)
	}
	if _, err := d.c.View().Video(video(2)); !errors.Is(err, vstack.ErrNotFound) {
		t.Fatalf("the repeat was applied: %v", err)
	}
	refused := d.do(DeleteVideo, DeleteVideoPayload{Video: video(9)}, "req-2")
	d.must(OpenUpload, opening(9))
	if again := d.do(DeleteVideo, DeleteVideoPayload{Video: video(9)}, "req-2"); again.Code != refused.Code || again.Index != refused.Index {
		t.Fatalf("a refusal is not remembered: %+v", again)
	}
	if other := d.do(DeleteVideo, DeleteVideoPayload{Video: video(1)}, "req"); !errors.Is(other.Err(), vstack.ErrInvalid) {
		t.Fatalf("another command under a used id: %v", other.Err())
	}
}

func TestRequestsAreForgottenOldestFirst(t *testing.T) {
	d := &driver{t: t, c: newCatalog(t)}
	var batch []*raft.Log
	for i := range MaxRequests + 5 {
		d.index++
		batch = append(batch, entry(t, d.index, DeleteVideo, DeleteVideoPayload{Video: video(1)}, fmt.Sprint("r", i)))
	}
	d.c.ApplyBatch(batch)
	if n := d.c.View().meta.Requests; n != MaxRequests {
		t.Fatalf("%d requests are kept, want %d", n, MaxRequests)
	}
	if r := d.do(DeleteVideo, DeleteVideoPayload{Video: video(1)}, "r5"); r.Index != 6 {
		t.Errorf("the oldest kept request answers index %d, want 6", r.Index)
	}
	if r := d.do(DeleteVideo, DeleteVideoPayload{Video: video(1)}, "r4"); r.Index != d.index {
		t.Errorf("a forgotten request answers index %d, want its own %d", r.Index, d.index)
	}
}

func TestCommandsRoundTripThroughJSON(t *testing.T) {
	l := entry(t, 1, OpenUpload, opening(1), "id")
	cmd, err := Decode(l.Data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := payloadOf[OpenUploadPayload](cmd)
	if err != nil || p != opening(1) || !cmd.Time.Equal(epoch.Add(time.Second)) || cmd.RequestID != "id" {
		t.Fatalf("%+v, %v", p, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(l.Data, &fields); err != nil || fields["type"] != "open_upload" || fields["version"] != 1.0 {
		t.Fatalf("%v, %v", fields, err)
	}
}
