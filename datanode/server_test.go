package datanode

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestChunkIsAcceptedAndReadBack(t *testing.T) {
	c := newCluster(t, nil)
	u := c.open()
	data := random(2<<20 - 100)
	ref := c.put(u, 1, data, c.nodes...)
	for _, proto := range []string{"HTTP/3.0", "HTTP/2.0", "HTTP/1.1"} {
		client := c.http(t, proto, false) // readers need no certificate
		for _, n := range c.nodes {
			resp, body := n.getBy(client, "/v1/chunks/"+ref.ID.String(), nil)
			if resp.Proto != proto || resp.StatusCode != 200 || !bytes.Equal(body, data) {
				t.Errorf("%s from %s: %s %d, %d bytes", proto, n.name, resp.Proto, resp.StatusCode, len(body))
			}
			resp, body = n.getBy(client, "/v1/chunks/"+ref.ID.String(), map[string]string{"Range": "bytes=65530-65545"})
			if resp.StatusCode != 206 || !bytes.Equal(body, data[65530:65546]) {
				t.Errorf("%s from %s: range: %d, %d bytes", proto, n.name, resp.StatusCode, len(body))
			}
		}
	}
	// The same message again is idempotent, and writes nothing new.
	n := c.nodes[0]
	before := n.server.stores[0].disk.Stats()
	if a, ok := n.send(c.accept(u, 1, data), data).(message.Accepted); !ok || a.Value.Chunk != ref.ID {
		t.Errorf("repeated PUT: %+v", a)
	}
	if after := n.server.stores[0].disk.Stats(); after.LSN != before.LSN {
		t.Errorf("a repeated PUT moved the log from %d to %d", before.LSN, after.LSN)
	}
	state, ok := n.send(message.Query{Slot: vstack.Slot{Video: u.Video, Seq: 1}}, nil).(message.SlotState)
	if !ok || state.Value.Chunk != ref.ID {
		t.Errorf("query: %+v", state)
	}
	waitFor(t, func() bool {
		r := c.meta.report(n.id)
		return r.Chunks == 1 && r.Writes == 2 && r.Reads == 6 && r.LSN > 0
	})
}

func TestSameBytesInAnotherSlotAreStoredOnce(t *testing.T) {
	c := newCluster(t, nil)
	u, n, data := c.open(), c.nodes[0], random(1<<20)
	c.put(u, 1, data, n)
	before := n.server.stores[0].disk.Stats()
	c.put(u, 2, data, n)
	after := n.server.stores[0].disk.Stats()
	if grown := after.Written - before.Written; after.Chunks != 1 || grown > 64<<10 {
		t.Errorf("the second slot took %d bytes, store has %d chunks", grown, after.Chunks)
	}
	for seq := range uint32(2) {
		s, _ := n.send(message.Query{Slot: vstack.Slot{Video: u.Video, Seq: seq + 1}}, nil).(message.SlotState)
		if s.Value.Chunk != vstack.ChunkIDOf(data) {
			t.Errorf("slot %d: %+v", seq+1, s)
		}
	}
}

func TestPutIsRefused(t *testing.T) {
	c := newCluster(t, nil)
	n, u, data := c.nodes[0], c.open(), random(100_000)
	c.put(u, 1, data, n)
	other := random(100_000)
	ended := c.open()
	ended.State = vstack.UploadAborted
	c.meta.upload(ended)
	change := func(seq uint32, d []byte, f func(*message.Accept)) message.Accept {
		m := c.accept(u, seq, d)
		f(&m)
		return m
	}
	for _, q := range []struct {
		name   string
		m      message.Accept
		data   []byte
		reason *vstack.Sentinel
	}{
		{"another chunk on a full slot", c.accept(u, 1, other), other, vstack.ErrSlotConflict},
		{"an older epoch", change(2, data, func(m *message.Accept) { m.Epoch-- }), data, vstack.ErrEpochStale},
		{"round 0 by another process", change(2, data, func(m *message.Accept) { m.Ballot.Proposer[0]++ }), data, vstack.ErrNotOwner},
		{"an upload that has ended", c.accept(ended, 1, data), data, vstack.ErrUploadNotLive},
		{"bytes of another chunk", c.accept(u, 2, data), other, vstack.ErrHashMismatch},
		{"an upload of the future", change(2, data, func(m *message.Accept) { m.UploadIndex += 1000 }), data, vstack.ErrCatalogLagging},
	} {
		t.Run(q.name, func(t *testing.T) {
			nack, ok := n.send(q.m, q.data).(message.Nack)
			// Reused ballots are the other name of a conflict on the owner's own round 0.
			if !ok || nack.Reason != q.reason && !(q.reason == vstack.ErrSlotConflict && nack.Reason == vstack.ErrBallotReused) {
				t.Fatalf("got %+v, want %s", nack, q.reason.Code())
			}
			if nack.Store != n.id {
				t.Errorf("the refusal does not name the store: %+v", nack)
			}
		})
	}
	s, _ := n.send(message.Query{Slot: vstack.Slot{Video: u.Video, Seq: 2}}, nil).(message.SlotState)
	if !s.Accepted.IsZero() || n.server.stores[0].disk.Stats().Chunks != 1 {
		t.Errorf("a refused PUT left traces: %+v, %d chunks", s, n.server.stores[0].disk.Stats().Chunks)
	}
}

func TestBadBodiesAreRefused(t *testing.T) {
	c := newCluster(t, nil)
	n, u, data := c.nodes[0], c.open(), random(100_000)
	put := func(client *http.Client, body io.Reader, tune func(*http.Request)) message.Reply {
		m := c.accept(u, 1, data)
		req, err := wire.NewPaxosRequest(t.Context(), "https://"+n.addr, m, 0, data)
		if err != nil {
			t.Fatal(err)
		}
		if body != nil {
			req.Body, req.GetBody = io.NopCloser(body), nil
		}
		if tune != nil {
			tune(req)
		}
		return n.do(client, req, m)
	}
	for _, proto := range []string{"HTTP/2.0", "HTTP/3.0", "HTTP/1.1"} {
		t.Run(proto, func(t *testing.T) {
			for _, q := range []struct {
				name   string
				reason *vstack.Sentinel
				reply  message.Reply
			}{
				{"oversize", vstack.ErrTooLarge, put(c.http(t, proto, true), strings.NewReader("x"), func(r *http.Request) {
					r.ContentLength = -1
					r.Header.Set(wire.HeaderSize, strconv.Itoa(vstack.MaxChunkSize+1))
				})},
				{"short", vstack.ErrTruncated, put(c.http(t, proto, true), bytes.NewReader(data[:500]), func(r *http.Request) { r.ContentLength = -1 })},
				{"long", vstack.ErrTooLarge, put(c.http(t, proto, true), bytes.NewReader(append(bytes.Clone(data), 1)), func(r *http.Request) { r.ContentLength = -1 })},
				{"no certificate", vstack.ErrUnauthenticated, put(c.http(t, proto, false), nil, nil)},
				{"no slot", vstack.ErrInvalid, put(c.http(t, proto, true), nil, func(r *http.Request) { r.Header.Del(wire.HeaderSlot) })},
			} {
				if nack, ok := q.reply.(message.Nack); !ok || nack.Reason != q.reason {
					t.Errorf("%s: got %+v, want %s", q.name, q.reply, q.reason.Code())
				}
			}
		})
	}
	if got := n.server.stores[0].disk.Stats(); got.Chunks != 0 {
		t.Errorf("refused bodies left %d chunks", got.Chunks)
	}
	c.put(u, 1, data, n) // and the slot is still free
}

func TestRestartKeepsVotesAndReadsNeedNoCatalog(t *testing.T) {
	c := newCluster(t, nil)
	n, u, data := c.nodes[0], c.open(), random(300_000)
	ref := c.put(u, 1, data, n)
	id := n.id
	n.stop()
	c.meta.set(func() { c.meta.down = true })
	n.start()
	if n.id != id {
		t.Fatalf("the store came back as %s, was %s", n.id, id)
	}
	if resp, body := n.get("/v1/chunks/"+ref.ID.String(), nil); resp.StatusCode != 200 || !bytes.Equal(body, data) {
		t.Errorf("read without a catalog: %d, %d bytes", resp.StatusCode, len(body))
	}
	if nack, ok := n.send(c.accept(u, 2, data), data).(message.Nack); !ok || nack.Reason != vstack.ErrCatalogLagging {
		t.Errorf("a store that does not know the catalog answered %+v", nack)
	}
	if resp, body := n.get("/readyz", nil); resp.StatusCode != 503 {
		t.Errorf("ready without a catalog: %d %s", resp.StatusCode, body)
	}
	c.meta.set(func() { c.meta.down = false })
	n.ready()
	s, ok := n.send(message.Query{Slot: vstack.Slot{Video: u.Video, Seq: 1}}, nil).(message.SlotState)
	if !ok || s.Value.Chunk != ref.ID {
		t.Errorf("after the restart the slot holds %+v", s)
	}
	other := random(1000)
	if nack, ok := n.send(c.accept(u, 1, other), other).(message.Nack); !ok || nack.Value.Chunk != ref.ID {
		t.Errorf("another chunk in the slot: %+v", nack)
	}
	if resp, _ := n.get("/readyz", nil); resp.StatusCode != 200 {
		t.Errorf("not ready: %d", resp.StatusCode)
	}
}

func TestPutWaitsForTheCatalog(t *testing.T) {
	c := newCluster(t, nil)
	n := c.nodes[0]
	c.meta.set(func() { c.meta.feedHeld = true })
	u := c.open()
	data := random(1000)
	m := c.accept(u, 1, data)
	req, err := wire.NewPaxosRequest(t.Context(), "https://"+n.addr, m, 0, data)
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan message.Reply, 1)
	go func() {
		resp, err := c.client.Do(req)
		if err != nil {
			answers <- nil
			return
		}
		reply, _ := wire.ReadReply(resp, m)
		_ = resp.Body.Close()
		answers <- reply
	}()
	waitFor(t, func() bool { return n.server.stores[0].gate.Busy() == 1 })
	select {
	case r := <-answers:
		t.Fatalf("judged before the catalog told of the upload: %+v", r)
	default:
	}
	c.meta.set(func() { c.meta.feedHeld = false })
	if a, ok := (<-answers).(message.Accepted); !ok {
		t.Errorf("got %+v", a)
	}
}

func TestFullDiskRefusesWritesAndServesReads(t *testing.T) {
	c := newCluster(t, func(cfg *Config) {
		cfg.SuperblockSize, cfg.Reserve = 4<<20, 4<<20
		cfg.Stores[0].Capacity = 16 << 20
	})
	n, u := c.nodes[0], c.open()
	var refs []vstack.ChunkRef
	var nack message.Nack
	for seq := uint32(1); seq < 100; seq++ {
		data := random(1 << 20)
		switch r := n.send(c.accept(u, seq, data), data).(type) {
		case message.Accepted:
			refs = append(refs, vstack.ChunkRef{Seq: seq, ID: r.Value.Chunk, Size: r.Value.Size})
			continue
		case message.Nack:
			nack = r
		}
		break
	}
	if nack.Reason != vstack.ErrDiskFull || len(refs) < 4 {
		t.Fatalf("after %d chunks: %+v", len(refs), nack)
	}
	for _, ref := range refs {
		if resp, body := n.get("/v1/chunks/"+ref.ID.String(), nil); resp.StatusCode != 200 || vstack.ChunkIDOf(body) != ref.ID {
			t.Errorf("slot %d of a full store: %d", ref.Seq, resp.StatusCode)
		}
	}
	select {
	case err := <-n.fatal:
		t.Errorf("a full disk ended the store: %v", err)
	default:
	}
	waitFor(t, func() bool { return c.meta.report(n.id).Full })
}

func TestStoreThatForgotDoesNotVote(t *testing.T) {
	c := newCluster(t, nil)
	n, u, data := c.nodes[0], c.open(), random(1000)
	ref := c.put(u, 1, data, n)
	waitFor(t, func() bool { return c.meta.report(n.id).LSN > 0 })
	n.stop()
	c.meta.set(func() { c.meta.echo[n.id] += 1000 }) // as if it had acknowledged more than it recovers
	n.start()
	waitFor(t, func() bool {
		ok, why := n.server.stores[0].voter.Votes()
		return !ok && strings.Contains(why, "forgotten")
	})
	if nack, ok := n.send(c.accept(u, 2, data), data).(message.Nack); !ok || nack.Reason != vstack.ErrAmnesic {
		t.Errorf("got %+v", nack)
	}
	if resp, body := n.get("/v1/chunks/"+ref.ID.String(), nil); resp.StatusCode != 200 || !bytes.Equal(body, data) {
		t.Errorf("it should still serve reads: %d", resp.StatusCode)
	}
	if st := n.status(); st.Votes || st.Reason == "" {
		t.Errorf("status: votes %v, %q", st.Votes, st.Reason)
	}
	waitFor(t, func() bool { return strings.Contains(c.meta.report(n.id).Mute, "forgotten") })
	// It does not remember better after another restart, though nobody echoes now.
	n.stop()
	c.meta.set(func() { delete(c.meta.echo, n.id) })
	n.start()
	waitFor(t, func() bool { return n.server.stores[0].disk.LSN() > 0 && n.server.complete() })
	if nack, ok := n.send(c.accept(u, 2, data), data).(message.Nack); !ok || nack.Reason != vstack.ErrAmnesic {
		t.Errorf("after another restart: %+v", nack)
	}
}

func TestEveryRouteIsServed(t *testing.T) {
	c := newCluster(t, nil)
	n := c.nodes[0]
	_, body := n.get("/openapi.json", nil)
	var api struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(body, &api); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{sha256}", vstack.ChunkID{}.String(), "{video}", vstack.VideoID{1}.String(), "{track}", "0", "{seq}", "1")
	for _, r := range Routes() {
		if _, ok := api.Paths[r.Path][strings.ToLower(r.Method)]; !ok {
			t.Errorf("%s %s is not in the OpenAPI document", r.Method, r.Path)
		}
		req, err := http.NewRequestWithContext(t.Context(), r.Method, "https://"+n.addr+fill.Replace(r.Path), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http(t, "HTTP/1.1", r.Roles == 0).Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", r.Method, r.Path, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == 405 || resp.StatusCode == 404 && r.Path != pathChunk {
			t.Errorf("%s %s: %d", r.Method, r.Path, resp.StatusCode)
		}
		if r.Roles != 0 && resp.StatusCode != 401 {
			t.Errorf("%s %s without a certificate: %d", r.Method, r.Path, resp.StatusCode)
		}
	}
	if _, body := n.get("/metrics", nil); !bytes.Contains(body, []byte("vstack_datanode_read_first_byte_seconds")) {
		t.Error("no read histogram in the metrics")
	}
}

func TestInventoryIsPaged(t *testing.T) {
	c := newCluster(t, nil)
	n, u := c.nodes[0], c.open()
	want := map[vstack.ChunkID]bool{}
	for seq := range uint32(5) {
		want[c.put(u, seq+1, random(100), n).ID] = true
	}
	cursor, pages := "", 0
	var last vstack.ChunkID
	for {
		_, body := n.get("/v1/inventory?limit=2&cursor="+cursor, nil)
		var page wire.InventoryPage
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		pages++
		for _, item := range page.Items {
			if !want[item.Chunk] || bytes.Compare(item.Chunk[:], last[:]) <= 0 || item.Size != 100 {
				t.Errorf("item %+v", item)
			}
			delete(want, item.Chunk)
			last = item.Chunk
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(want) != 0 || pages != 3 {
		t.Errorf("%d chunks were not listed in %d pages", len(want), pages)
	}
	for _, q := range []string{"?cursor=zz", "?limit=0", "?limit=9999", "?limit=x"} {
		if resp, _ := n.get("/v1/inventory"+q, nil); resp.StatusCode != 400 {
			t.Errorf("%s: %d", q, resp.StatusCode)
		}
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	c := newCluster(t, nil)
	cfg := c.nodes[0].server.cfg
	for name, f := range map[string]func(*Config){
		"no stores":       func(c *Config) { c.Stores = nil },
		"no host":         func(c *Config) { c.Host = "" },
		"same directory":  func(c *Config) { c.Stores = append(c.Stores, c.Stores[0]) },
		"no port":         func(c *Config) { c.Stores = []StoreConfig{{Dir: "x", Addr: "127.0.0.1"}} },
		"no metastore":    func(c *Config) { c.Meta = nil },
		"directory taken": func(c *Config) {},
	} {
		cfg := cfg
		cfg.Registry = nil
		f(&cfg)
		if s, err := Open(t.Context(), cfg); err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", name)
		} else if name != "directory taken" && !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// flip damages one byte of a chunk's stored bytes on disk.
func (n *node) flip(data []byte) {
	n.c.t.Helper()
	files, err := filepath.Glob(n.dataDir() + "/*")
	if err != nil || len(files) == 0 {
		n.c.t.Fatalf("files of %s: %v %v", n.name, files, err)
	}
	needle := data[len(data)/2 : len(data)/2+64]
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if i := bytes.Index(b, needle); i >= 0 {
			f, err := os.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				n.c.t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte{b[i] ^ 0x40}, int64(i)); err != nil {
				n.c.t.Fatal(err)
			}
			return
		}
	}
	n.c.t.Fatalf("bytes are not in the files of %s", n.name)
}
