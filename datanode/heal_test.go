package datanode

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestDamagedChunkIsACleanErrorAndHeals(t *testing.T) {
	c := newCluster(t, nil)
	u, data := c.open(), random(1<<20)
	ref := c.put(u, 1, data, c.nodes...)
	c.publish(u, ref)
	n := c.nodes[1]
	n.flip(data)
	resp, body := n.get("/v1/chunks/"+ref.ID.String(), nil)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := wire.ReadError(resp); resp.StatusCode != 500 || !errors.Is(err, vstack.ErrCorrupt) {
		t.Fatalf("read of a damaged chunk: %d, %v", resp.StatusCode, err)
	}
	waitFor(t, func() bool {
		resp, body := n.get("/v1/chunks/"+ref.ID.String(), nil)
		return resp.StatusCode == 200 && bytes.Equal(body, data)
	})
	waitFor(t, func() bool { r := c.meta.report(n.id); return r.Corrupt == 0 && r.Missing == 0 })
}

func TestDamagedChunkOfAnOpenUploadHeals(t *testing.T) {
	c := newCluster(t, nil)
	u, data := c.open(), random(200_000)
	ref := c.put(u, 1, data, c.nodes...)
	n := c.nodes[2]
	n.flip(data)
	if resp, _ := n.get("/v1/chunks/"+ref.ID.String(), nil); resp.StatusCode != 500 {
		t.Fatalf("read of a damaged chunk: %d", resp.StatusCode)
	}
	waitFor(t, func() bool { resp, _ := n.get("/v1/chunks/"+ref.ID.String(), nil); return resp.StatusCode == 200 })
}

func TestScrubFindsWhatNobodyReads(t *testing.T) {
	c := newCluster(t, nil)
	u, data := c.open(), random(500_000)
	ref := c.put(u, 1, data, c.nodes...)
	c.publish(u, ref)
	n := c.nodes[0]
	n.flip(data)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+n.addr+"/v1/scrub", bytes.NewReader([]byte(`{"rate":1000000000}`)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("scrub: %d", resp.StatusCode)
	}
	waitFor(t, func() bool {
		s := n.status().Scrub
		return s.Passes == 1 && s.Corrupt == 1 && !s.Running && s.Rate == 1000000000
	})
	waitFor(t, func() bool {
		resp, body := n.get("/v1/chunks/"+ref.ID.String(), nil)
		return resp.StatusCode == 200 && bytes.Equal(body, data)
	})
	// The store still knows of the pass after a restart, or it would never be time for one.
	passed := n.status().Scrub.Passed
	n.stop()
	n.start()
	if s := n.status().Scrub; passed.IsZero() || !s.Passed.Equal(passed) || s.Passes != 0 || s.Corrupt != 1 {
		t.Errorf("a pass that ended at %v is after a restart %+v", passed, s)
	}
}

// TestAScrubIsEnded: the pass that runs ends at once, a store without one says so, and another
// may be asked for.
func TestAScrubIsEnded(t *testing.T) {
	c := newCluster(t, nil)
	u := c.open()
	c.publish(u, c.put(u, 1, random(500_000), c.nodes...))
	n := c.nodes[0]
	scrub := func(method, body string) wire.ScrubStatus {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://"+n.addr+"/v1/scrub", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var st wire.ScrubStatus
		if err := json.NewDecoder(resp.Body).Decode(&st); err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %d, %v", method, resp.StatusCode, err)
		}
		return st
	}
	if st := scrub(http.MethodDelete, ""); st.Running {
		t.Errorf("no scrub: %+v", st)
	}
	for range 2 {
		scrub(http.MethodPost, `{"rate":1}`) // half a million seconds
		waitFor(t, func() bool { return n.status().Scrub.Running })
		scrub(http.MethodDelete, "")
		waitFor(t, func() bool { s := n.status().Scrub; return !s.Running && s.Error == "stopped" && s.Passes == 0 })
	}
}

func TestStoreThatWasDownFillsUp(t *testing.T) {
	c := newCluster(t, nil)
	late := c.nodes[2]
	late.stop()
	u := c.open()
	var refs []vstack.ChunkRef
	for seq := range uint32(6) {
		refs = append(refs, c.put(u, seq+1, random(300_000), c.nodes[0], c.nodes[1]))
	}
	c.publish(u, refs...)
	late.start()
	waitFor(t, func() bool {
		for _, ref := range refs {
			if !late.has(ref) {
				return false
			}
		}
		return true
	})
	for _, ref := range refs {
		if resp, body := late.get("/v1/chunks/"+ref.ID.String(), nil); resp.StatusCode != 200 || vstack.ChunkIDOf(body) != ref.ID {
			t.Errorf("slot %d: %d", ref.Seq, resp.StatusCode)
		}
	}
	waitFor(t, func() bool { return c.meta.report(late.id).Missing == 0 })
}

func TestChunksThatNothingNamesAreDropped(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.DropGrace = 50 * time.Millisecond })
	kept, gone, open := c.open(), c.open(), c.open()
	shared := random(1000)
	keptRef := c.put(kept, 1, random(1000), c.nodes...)
	sharedRef := c.put(kept, 2, shared, c.nodes...)
	c.put(gone, 1, shared, c.nodes...) // the same bytes in a video that goes
	goneRef := c.put(gone, 2, random(1000), c.nodes...)
	openRef := c.put(open, 1, random(1000), c.nodes...)
	loser := c.put(kept, 3, random(1000), c.nodes[0]) // accepted by one, never chosen
	c.publish(kept, keptRef, sharedRef)
	c.publish(gone, vstack.ChunkRef{Seq: 1, ID: sharedRef.ID, Size: sharedRef.Size}, goneRef)
	c.meta.remove(gone.Video)
	waitFor(t, func() bool {
		for _, n := range c.nodes {
			if n.has(goneRef) || n.has(loser) {
				return false
			}
		}
		return true
	})
	for _, n := range c.nodes {
		for name, ref := range map[string]vstack.ChunkRef{"published": keptRef, "shared": sharedRef, "voted for": openRef} {
			if !n.has(ref) {
				t.Errorf("%s dropped the %s chunk", n.name, name)
			}
		}
	}
	// The open upload's slot is where it was.
	s, _ := c.nodes[0].send(message.Query{Slot: vstack.Slot{Video: open.Video, Seq: 1}}, nil).(message.SlotState)
	if s.Value.Chunk != openRef.ID {
		t.Errorf("slot of the open upload: %+v", s)
	}
}

func TestNothingIsDroppedBeforeTheCatalogIsRead(t *testing.T) {
	tune := func(cfg *Config) { cfg.DropGrace = time.Millisecond; cfg.ConvergeEvery = 10 * time.Millisecond }
	c := newCluster(t, tune)
	u := c.open()
	ref := c.put(u, 1, random(1000), c.nodes...)
	c.publish(u, ref)
	n := c.nodes[0]
	waitFor(t, func() bool { return n.server.follower.Index() >= c.meta.index })
	n.stop()
	c.meta.set(func() { c.meta.feedHeld = true }) // heartbeats answer, the feed is mute
	n.start()
	waitFor(t, func() bool { return n.server.index.Load() > 0 })
	for range 5 { // passes of the loop
		pass := n.server.stores[0].loop.Passes()
		waitFor(t, func() bool { return n.server.stores[0].loop.Passes() > pass })
	}
	if !n.has(ref) {
		t.Error("a chunk was dropped by a store that had not read the catalog")
	}
	c.meta.set(func() { c.meta.feedHeld = false })
}

func TestBodilessAcceptFetchesFromAPeer(t *testing.T) {
	c := newCluster(t, nil)
	u, data := c.open(), random(400_000)
	c.put(u, 1, data, c.nodes[0], c.nodes[1])
	n := c.nodes[2]
	m := c.accept(u, 1, data)
	m.Ballot.Round = 1
	promise, ok := n.send(message.Prepare{Slot: m.Slot, Epoch: m.Epoch, Upload: m.Upload, UploadIndex: m.UploadIndex, Ballot: m.Ballot}, nil).(message.Promise)
	if !ok || !promise.Value.IsZero() {
		t.Fatalf("promise: %+v", promise)
	}
	if a, ok := n.send(m, nil).(message.Accepted); !ok {
		t.Fatalf("accept without bytes: %+v", a)
	}
	if resp, body := n.get("/v1/chunks/"+m.Value.Chunk.String(), nil); resp.StatusCode != 200 || !bytes.Equal(body, data) {
		t.Errorf("the fetched chunk: %d", resp.StatusCode)
	}
	missing := c.accept(u, 2, random(1000))
	missing.Ballot.Round = 1
	if nack, ok := n.send(missing, nil).(message.Nack); !ok || nack.Reason != vstack.ErrBytesMissing {
		t.Errorf("a chunk that nobody has: %+v", nack)
	}
}

func TestResumeLearnsWhatWasAccepted(t *testing.T) {
	c := newCluster(t, nil)
	u := c.open()
	for seq := range uint32(3) {
		c.put(u, seq+1, random(1000), c.nodes...)
	}
	resumed := u
	resumed.Owner[0]++
	resumed = c.meta.upload(resumed)
	n := c.nodes[0]
	p, ok := n.send(message.PrepareUpload{Upload: u.ID, UploadIndex: resumed.Index,
		Ballot: vstack.Ballot{Incarnation: resumed.Incarnation, Round: 1, Proposer: resumed.Owner}}, nil).(message.UploadPromise)
	if !ok || len(p.Votes) != 3 || p.LSN == 0 {
		t.Fatalf("ranged prepare: %+v", p)
	}
	data := random(1000)
	if nack, ok := n.send(c.accept(u, 4, data), data).(message.Nack); !ok {
		t.Errorf("the old process is not fenced: %+v", nack)
	}
}
