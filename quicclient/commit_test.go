package quicclient

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// counted reads a counter of the registry, by the values of its labels in any order.
func counted(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != "vstack_quicclient_"+name {
			continue
		}
		for _, m := range f.Metric {
			if hasLabels(m, labels) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func hasLabels(m *dto.Metric, want []string) bool {
	have := map[string]bool{}
	for _, l := range m.Label {
		have[l.GetValue()] = true
	}
	for _, w := range want {
		if !have[w] {
			return false
		}
	}
	return true
}

// TestAPutBringsTheLeavesThatTheCallerHas spares every store the making of them.
func TestAPutBringsTheLeavesThatTheCallerHas(t *testing.T) {
	c := newCluster(t, 3)
	up := c.upload(1)
	brought := make(chan string, 8)
	for i := range 3 {
		c.stores[i].onPaxos = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				brought <- r.Header.Get(wire.HeaderLeaves)
			}
			return false
		}
	}
	cl := c.client(func(cfg *Config) { cfg.AwaitLast = 10 * time.Second })
	data := chunkOf(1, 200_000)
	leaves := vstack.LeavesOf(data)
	if _, err := cl.CommitValue(ctxFor(t), up, testSlot(1), vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}, leaves, data); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Commit(ctxFor(t), up, testSlot(2), chunkOf(2, 200_000)); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		want := leaves.String()
		if i >= 3 {
			want = "" // this caller had none
		}
		if got := <-brought; got != want {
			t.Errorf("PUT %d brought %q, want %q", i, got, want)
		}
	}
}

func TestUncontendedCommitIsSixMessages(t *testing.T) {
	for _, how := range []WriteTransport{WriteTCP, WriteQUIC} {
		t.Run("over "+string(how), func(t *testing.T) {
			c := newCluster(t, 4)
			up := c.upload(1)
			reg := prometheus.NewRegistry()
			cl := c.client(func(cfg *Config) { cfg.WriteTransport, cfg.Registry, cfg.AwaitLast = how, reg, 10*time.Second })
			const n, size = 10, 100_000
			for i := range n {
				data := chunkOf(uint64(i), size)
				got, err := cl.Commit(ctxFor(t), up, testSlot(uint32(i)), data)
				if err != nil {
					t.Fatal(err)
				}
				if got.Acks != 3 || got.Sent != 3*size || got.Value.Chunk != vstack.ChunkIDOf(data) {
					t.Errorf("%+v", got)
				}
				for j := range 3 {
					if !c.stores[j].has(got.Value.Chunk) {
						t.Errorf("store %d does not hold chunk %d", j, i)
					}
				}
			}
			out, in := counted(t, reg, "messages_total", "put", "sent"), counted(t, reg, "messages_total", "put", "received")
			if out != 3*n || in != 3*n {
				t.Errorf("%v PUTs and %v answers for %d chunks, want 3 and 3 each", out, in, n)
			}
			if b := counted(t, reg, "bytes_total", "put", "sent"); b != 3*n*size {
				t.Errorf("%v bytes sent, want %d", b, 3*n*size)
			}
			// The survey asked each acceptor once, for the whole upload.
			if s, all := counted(t, reg, "messages_total", "survey", "sent"), counted(t, reg, "messages_total", "sent"); s != 3 || all != 3+3*n {
				t.Errorf("%v surveys of %v messages in all", s, all)
			}
			if c.seen("put", 3)+c.seen("post", 3) != 0 {
				t.Error("a store that is no acceptor was asked")
			}
		})
	}
}

func TestCommitWithOneAcceptorGone(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		c.stores[2].stop()
		got, err := c.client(nil).Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000))
		if err != nil || got.Acks != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
	})
	t.Run("full", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		c.stores[0].full = true
		got, err := c.client(nil).Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000))
		if err != nil || got.Acks != 2 || c.stores[0].has(got.Value.Chunk) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
	t.Run("hanging, whose PUT finishes in the background", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		goOn := make(chan struct{})
		c.stores[1].onPaxos = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				<-goOn
			}
			return false
		}
		cl := c.client(func(cfg *Config) { cfg.AwaitLast = time.Millisecond })
		got, err := cl.Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1_000_000))
		if err != nil || got.Acks != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		if c.stores[1].has(got.Value.Chunk) {
			t.Fatal("the hanging store answered before it was let go")
		}
		close(goOn)
		if err := cl.Close(); err != nil { // waits for it
			t.Fatal(err)
		}
		if !c.stores[1].has(got.Value.Chunk) {
			t.Error("Close did not wait for the straggling PUT")
		}
	})
	t.Run("hanging, whose PUT is given up beyond the bound of bytes", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		gone := make(chan struct{})
		c.stores[1].onPaxos = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				<-r.Context().Done()
				close(gone)
				return true
			}
			return false
		}
		cl := c.client(func(cfg *Config) {
			cfg.AwaitLast, cfg.StragglerBytes, cfg.WriteTransport = time.Millisecond, 999, WriteQUIC
		})
		if got, err := cl.Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000)); err != nil || got.Acks != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		<-gone
	})
}

func TestCommitWithoutMajority(t *testing.T) {
	t.Run("because two are dead, names both", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		c.stores[0].stop()
		c.stores[1].stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.client(nil).Commit(ctx, up, testSlot(1), chunkOf(1, 1000))
		if !errors.Is(err, vstack.ErrNoQuorum) {
			t.Fatalf("got %v", err)
		}
		for i := range 2 {
			if !strings.Contains(err.Error(), c.stores[i].id.String()) {
				t.Errorf("store %d is not named in %q", i, err)
			}
		}
	})
	t.Run("because two are full", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		c.stores[0].full, c.stores[1].full = true, true
		if _, err := c.client(nil).Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000)); !errors.Is(err, vstack.ErrDiskFull) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("because the caller has no certificate", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		_, err := c.client(func(cfg *Config) { cfg.TLS = c.readerTLS() }).Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000))
		if !errors.Is(err, vstack.ErrUnauthenticated) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("because the upload was aborted", func(t *testing.T) {
		c := newCluster(t, 3)
		up := c.upload(1)
		c.uploads[0].State = vstack.UploadAborted
		c.tell(1, c.ids(0, 1, 2))
		if _, err := c.client(nil).Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000)); !errors.Is(err, vstack.ErrUploadNotLive) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestCommitTellsOfTheOtherValue(t *testing.T) {
	c := newCluster(t, 3)
	first := c.upload(1)
	winner, loser := chunkOf(1, 1000), chunkOf(2, 2000)
	if _, err := c.client(nil).Commit(ctxFor(t), first, testSlot(1), winner); err != nil {
		t.Fatal(err)
	}
	second := c.upload(2) // the upload is resumed elsewhere, and cut differently
	_, err := c.client(nil).Commit(ctxFor(t), second, testSlot(1), loser)
	var conflict *ConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, vstack.ErrSlotConflict) {
		t.Fatalf("got %v", err)
	}
	if conflict.Value.Chunk != vstack.ChunkIDOf(winner) || conflict.Slot != testSlot(1) {
		t.Errorf("conflict with %+v", conflict)
	}
	for i := range 3 {
		if c.stores[i].has(vstack.ChunkIDOf(loser)) {
			t.Errorf("store %d keeps the loser's bytes", i)
		}
	}
}

func TestResumeFencesAndSkipsWhatIsChosen(t *testing.T) {
	c := newCluster(t, 3)
	first := c.upload(1)
	old := c.client(nil)
	want := map[vstack.Slot]vstack.Value{}
	for i := range uint32(5) {
		got, err := old.Commit(ctxFor(t), first, testSlot(i), chunkOf(uint64(i), 1000))
		if err != nil {
			t.Fatal(err)
		}
		want[testSlot(i)] = got.Value
	}
	second := c.upload(2)
	cl := c.client(nil)
	chosen, err := cl.Chosen(ctxFor(t), second)
	if err != nil {
		t.Fatal(err)
	}
	if len(chosen) != len(want) {
		t.Fatalf("%d slots chosen, want %d", len(chosen), len(want))
	}
	for slot, v := range want {
		if chosen[slot] != v {
			t.Errorf("slot %s: %+v, want %+v", slot, chosen[slot], v)
		}
	}
	if c.seen("post") != 3+3 {
		t.Errorf("%d prepares, want one a store and incarnation", c.seen("post"))
	}
	if _, err := old.Commit(ctxFor(t), first, testSlot(9), chunkOf(9, 1000)); !errors.Is(err, vstack.ErrFenced) {
		t.Errorf("the superseded process: %v, want ErrFenced", err)
	}
	// A chunk that is chosen needs no bytes a second time.
	got, err := cl.Commit(ctxFor(t), second, testSlot(0), chunkOf(0, 1000))
	if err != nil || got.Value != want[testSlot(0)] || got.Sent != 0 {
		t.Errorf("repeat of a chosen chunk: %+v, %v; want nothing sent", got, err)
	}
	// A slot that is empty takes the fast path again.
	before := c.seen("post")
	if got, err := cl.Commit(ctxFor(t), second, testSlot(9), chunkOf(9, 1000)); err != nil || got.Acks != 3 || c.seen("post") != before {
		t.Errorf("an empty slot after the resume: %+v, %v, %d prepares", got, err, c.seen("post")-before)
	}
}

func TestResumeDoesNotUseRoundZeroWhereSomeoneVoted(t *testing.T) {
	c := newCluster(t, 3)
	first := c.upload(1)
	refuse := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
		return r.Method == http.MethodPut
	}
	c.stores[1].onPaxos, c.stores[2].onPaxos = refuse, refuse
	data := chunkOf(1, 1000)
	old := c.client(func(cfg *Config) { cfg.CommitAttempts = 1 })
	if _, err := old.Commit(ctxFor(t), first, testSlot(1), data); !errors.Is(err, vstack.ErrNoQuorum) {
		t.Fatalf("got %v", err)
	}
	if !c.stores[0].has(vstack.ChunkIDOf(data)) {
		t.Fatal("nobody voted")
	}
	second := c.upload(2)
	c.stores[1].set(func() { c.stores[1].onPaxos = nil })
	c.stores[2].set(func() { c.stores[2].onPaxos = nil })
	reg := prometheus.NewRegistry()
	got, err := c.client(func(cfg *Config) { cfg.Registry = reg }).Commit(ctxFor(t), second, testSlot(1), data)
	if err != nil || got.Value.Chunk != vstack.ChunkIDOf(data) {
		t.Fatalf("%+v, %v", got, err)
	}
	// Once two have promised, the third prepare may be given up before it leaves.
	if n := counted(t, reg, "messages_total", "prepare", "sent"); n < vstack.Majority || n > 3 {
		t.Errorf("%v prepares, want the classic path once", n)
	}
}

func TestLostAnswersDoNotLoseTheChunk(t *testing.T) {
	for _, how := range []WriteTransport{WriteTCP, WriteQUIC} {
		t.Run("over "+string(how), func(t *testing.T) {
			c := newCluster(t, 3)
			up := c.upload(1)
			for _, i := range []int{0, 1} {
				lost := false
				c.stores[i].after = func(_ http.ResponseWriter, r *http.Request) bool {
					if r.Method == http.MethodPut && !lost {
						lost = true
						panic(http.ErrAbortHandler) // the vote is durable, its answer is not sent
					}
					return false
				}
			}
			reg := prometheus.NewRegistry()
			cl := c.client(func(cfg *Config) { cfg.WriteTransport, cfg.Registry = how, reg })
			data := chunkOf(1, 1000)
			got, err := cl.Commit(ctxFor(t), up, testSlot(1), data)
			if err != nil || got.Value.Chunk != vstack.ChunkIDOf(data) {
				t.Fatalf("%+v, %v", got, err)
			}
			// A pooled connection that broke has the message repeated as it is; on QUIC the
			// proposer takes the classic path, once.
			want := map[WriteTransport][2]float64{WriteTCP: {0, 0}, WriteQUIC: {vstack.Majority, 3}}[how]
			if n := counted(t, reg, "messages_total", "prepare", "sent"); n < want[0] || n > want[1] {
				t.Errorf("%v prepares, want %v to %v", n, want[0], want[1])
			}
		})
	}
}

func TestCommitFollowsThePlacementGroup(t *testing.T) {
	c := newCluster(t, 4)
	up := c.upload(1)
	cl := c.client(func(cfg *Config) { cfg.AwaitLast = 10 * time.Second })
	if _, err := cl.Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000)); err != nil {
		t.Fatal(err)
	}
	c.place(2, 2, c.ids(3, 1, 2)...)
	got, err := cl.Commit(ctxFor(t), up, testSlot(2), chunkOf(2, 1000))
	if err != nil || !c.stores[3].has(got.Value.Chunk) {
		t.Fatalf("%+v, %v; want the new acceptors", got, err)
	}
	if c.asked != 2 {
		t.Errorf("the map was asked for %d times, want twice", c.asked)
	}
}

func TestTwoCommitsOfOneSlotShareNoBallot(t *testing.T) {
	c := newCluster(t, 3)
	up := c.upload(1)
	cl := c.client(nil)
	for i := range uint32(10) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[vstack.ChunkID]int{}
		for j := range 3 {
			wg.Go(func() {
				data := chunkOf(uint64(j), 1000)
				got, err := cl.Commit(ctxFor(t), up, testSlot(i), data)
				mu.Lock()
				defer mu.Unlock()
				var conflict *ConflictError
				switch {
				case err == nil:
					won[got.Value.Chunk]++
				case errors.As(err, &conflict):
					won[conflict.Value.Chunk]++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Errorf("slot %d: %d values", i, len(won))
		}
	}
}

func TestCommitRefuses(t *testing.T) {
	c := newCluster(t, 3)
	up := c.upload(1)
	cl := c.client(nil)
	elsewhere := testSlot(1)
	elsewhere.Video[0]++
	for name, f := range map[string]func() error{
		"no bytes": func() error { _, err := cl.Commit(ctxFor(t), up, testSlot(1), nil); return err },
		"oversize": func() error {
			_, err := cl.Commit(ctxFor(t), up, testSlot(1), make([]byte, vstack.MaxChunkSize+1))
			return err
		},
		"another video": func() error { _, err := cl.Commit(ctxFor(t), up, elsewhere, []byte("x")); return err },
	} {
		if err := f(); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.seen("put")+c.seen("post") != 0 {
		t.Error("a store was asked")
	}
}

func TestForgottenBallotsAreNotUsedAgain(t *testing.T) {
	c := newCluster(t, 3)
	cl := c.client(nil)
	for i := range vstack.Incarnation(maxUploads + 1) {
		up := vstack.Upload{ID: vstack.UploadID{9, byte(i), byte(i >> 8)}, Incarnation: i + 1}
		st, err := cl.commits.open(up)
		if err != nil {
			t.Fatal(err)
		}
		cl.commits.close(st)
	}
	if n := len(cl.commits.uploads); n != maxUploads {
		t.Errorf("%d uploads remembered, want %d", n, maxUploads)
	}
	forgotten := vstack.Upload{ID: vstack.UploadID{9}, Incarnation: 1}
	if _, err := cl.commits.open(forgotten); !errors.Is(err, vstack.ErrFenced) {
		t.Errorf("an upload whose ballots are forgotten: %v, want ErrFenced", err)
	}
}

func TestBallotsOfAnEndedUploadAreForgotten(t *testing.T) {
	c := newCluster(t, 3)
	cl := c.client(nil)
	ups := make([]vstack.Upload, maxEnded+1)
	for i := range ups {
		ups[i] = vstack.Upload{ID: vstack.UploadID{9, byte(i), byte(i >> 8)}, Incarnation: vstack.Incarnation(i + 10)}
	}
	open := func(up vstack.Upload) *uploadState {
		t.Helper()
		st, err := cl.commits.open(up)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	early := vstack.Upload{ID: vstack.UploadID{8}, Incarnation: 9}
	used := open(ups[0])
	used.use(vstack.Slot{Video: testVideo}, vstack.Ballot{Incarnation: 10})
	cl.Forget(ups[0])
	if used.usedBallot(vstack.Slot{Video: testVideo}).IsZero() {
		t.Error("the commit under way lost its ballots")
	}
	cl.commits.close(used)
	cl.Forget(ups[0])
	cl.Forget(ups[1]) // never used here
	if len(cl.commits.uploads) != 0 || len(cl.commits.ended) != 2 {
		t.Errorf("%d uploads remembered after they ended, %d known to have", len(cl.commits.uploads), len(cl.commits.ended))
	}
	if _, err := cl.commits.open(ups[0]); !errors.Is(err, vstack.ErrFenced) {
		t.Errorf("an upload that has ended: %v, want ErrFenced", err)
	}
	cl.commits.close(open(early)) // a lower incarnation of another upload goes on
	cl.Forget(early)
	for _, up := range ups[2:] {
		cl.Forget(up)
	}
	if len(cl.commits.ended) != maxEnded || len(cl.commits.order) != maxEnded {
		t.Errorf("%d ended uploads are known, want %d", len(cl.commits.ended), maxEnded)
	}
	for _, up := range []vstack.Upload{ups[0], ups[1], early, ups[maxEnded]} {
		if _, err := cl.commits.open(up); !errors.Is(err, vstack.ErrFenced) {
			t.Errorf("incarnation %d, ended long ago or now: %v, want ErrFenced", up.Incarnation, err)
		}
	}
}

// collect is a sink that keeps the bytes of every track.
type collect map[uint16]*bytes.Buffer

func (s collect) Chunk(_ context.Context, track vstack.Track, _ vstack.ChunkRef, data []byte) error {
	if s[track.Number] == nil {
		s[track.Number] = &bytes.Buffer{}
	}
	s[track.Number].Write(data)
	return nil
}

func TestPlayDeliversWhatWasCommitted(t *testing.T) {
	c := newCluster(t, 3)
	up := c.upload(1)
	cl := c.client(nil)
	m := &vstack.Manifest{Version: 1, Video: testVideo}
	want := collect{}
	for n := range uint16(2) {
		track := vstack.Track{Number: n, Kind: vstack.TrackVideo, Timescale: 1000}
		if n == 1 {
			track.Kind = vstack.TrackAudio
		}
		for seq := range uint32(8) {
			data := chunkOf(uint64(n)<<32|uint64(seq), 60_000)
			slot := vstack.Slot{Video: testVideo, Track: n, Seq: seq}
			got, err := cl.Commit(ctxFor(t), up, slot, data)
			if err != nil {
				t.Fatal(err)
			}
			ref := vstack.ChunkRef{Seq: seq, ID: got.Value.Chunk, Size: got.Value.Size, Start: int64(seq-1) * 2000, Duration: 2000}
			if seq == 0 {
				ref.Start, ref.Duration = 0, 0
				track.Init = ref
			} else {
				track.Chunks = append(track.Chunks, ref)
			}
			_ = want.Chunk(t.Context(), track, ref, data)
		}
		m.Tracks = append(m.Tracks, track)
	}
	var killed sync.Once
	sink := collect{}
	r, err := cl.Play(ctxFor(t), m, PlayOptions{Sink: sink, OnEvent: func(e Event) {
		if e.Kind == EventChunk && e.Done == 4 {
			killed.Do(c.stores[0].stop) // SIGKILL during playback
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for n, b := range want {
		if !bytes.Equal(sink[n].Bytes(), b.Bytes()) {
			t.Errorf("track %d: other bytes than were committed", n)
		}
	}
	if r.Verified != 16 || r.Chunks != r.Total || r.Bytes != 16*60_000 || r.Policy != "smart" || len(r.Log) != 16 {
		t.Errorf("report %+v", r)
	}
	var sum int64
	for _, s := range r.Stores {
		sum += s.Bytes
		if s.Host == "" || s.Addr == "" {
			t.Errorf("store %s has no name in the report", s.Store)
		}
	}
	if sum != r.Bytes || r.Latency.P50 <= 0 || r.Latency.P99 < r.Latency.P50 {
		t.Errorf("stores delivered %d of %d bytes, latency %+v", sum, r.Bytes, r.Latency)
	}
	if _, err := cl.Play(ctxFor(t), m, PlayOptions{Tracks: []uint16{7}}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a track that is not there: %v", err)
	}
}
