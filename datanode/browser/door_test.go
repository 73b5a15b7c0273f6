package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a store of chunks in a map.
type memory struct {
	mu      sync.Mutex
	chunks  map[vstack.ChunkID][]byte
	damaged map[vstack.ChunkID]bool
	held    chan struct{} // reads wait for it while it is not nil
	waiting int           // reads that do
}

func (m *memory) put(n int) (vstack.ChunkID, []byte) {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	id := vstack.ChunkIDOf(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chunks[id] = b
	return id, b
}

func (m *memory) Size(id vstack.ChunkID) (uint32, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.chunks[id]
	return uint32(len(b)), ok
}

func (m *memory) ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error) {
	m.mu.Lock()
	held, b, bad := m.held, m.chunks[id], m.damaged[id]
	if held != nil {
		m.waiting++
	}
	m.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	switch {
	case b == nil:
		return 0, vstack.ErrNotFound
	case bad:
		return 0, vstack.ErrCorrupt
	}
	return copy(p, b[off:]), nil
}

// rig is a door before a store in memory.
type rig struct {
	*memory
	t     *testing.T
	gate  *serve.Gate
	certs *Certs
	clock *clock
	addr  string
	stop  func() error // lets reads end, and waits
}

func open(t *testing.T, adjust func(*Config)) *rig {
	t.Helper()
	r := &rig{memory: &memory{chunks: map[vstack.ChunkID][]byte{}, damaged: map[vstack.ChunkID]bool{}}, t: t, gate: serve.NewGate(8), clock: newClock(time.Now())}
	var err error
	if r.certs, err = OpenCerts(vfs.NewCrash(), "", r.clock.now); err != nil {
		t.Fatal(err)
	}
	reader, err := serve.NewReader(serve.ReaderConfig{
		ID: vstack.StoreID{1}, Store: r.memory, Buffers: serve.NewBuffers(32 << 20), Gate: r.gate, Latency: serve.NewLatency(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Addr: loopback.Subnet(t) + ".1:9081", Certs: r.certs, Chunk: reader, Fragment: http.HandlerFunc(reader.ServeFragment), Gate: r.gate}
	if adjust != nil {
		adjust(&cfg)
	}
	d, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.addr = d.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx) }()
	var once sync.Once
	r.stop = func() (err error) {
		once.Do(func() {
			cancel()
			err = <-served
		})
		return err
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) page() *page {
	r.t.Helper()
	p, err := dial(r.t, r.addr, hashes(r.t, r.certs))
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// until waits for a condition, as long as the test may take.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestAPageReadsAChunk(t *testing.T) {
	r := open(t, nil)
	id, want := r.put(300_000)
	p := r.page()
	whole, err := p.ask(Request{Chunk: id, Leaves: true}.Append(nil))
	if err != nil || whole.Status != http.StatusOK || !bytes.Equal(whole.body, want) || whole.Size != 300_000 {
		t.Fatalf("status %d, %d of %d bytes, error %v", whole.Status, len(whole.body), whole.Size, err)
	}
	if err := whole.table.Check(300_000, vstack.LeavesOf(want).Root()); err != nil {
		t.Error(err)
	}
	if whole.Signals.RTT <= 0 || whole.Signals.Cwnd == 0 || whole.Signals.Busy != 1 || whole.tail.RTT <= 0 || whole.tail.Sent == 0 {
		t.Errorf("signals %+v, in the tail %+v", whole.Signals, whole.tail)
	}
	part, err := p.ask(Request{Chunk: id, Offset: 65536, Length: 65536}.Append(nil))
	if err != nil || part.Status != http.StatusPartialContent || !bytes.Equal(part.body, want[65536:131072]) || part.Size != 300_000 || part.Leaves != 0 {
		t.Errorf("a part: status %d, %d bytes, error %v", part.Status, len(part.body), err)
	}
	rest, err := p.ask(Request{Chunk: id, Offset: 262144, Leaves: true, Fresh: true}.Append(nil))
	if err != nil || !bytes.Equal(rest.body, want[262144:]) || rest.table.Len() != 5 {
		t.Errorf("the rest: status %d, %d bytes, error %v", rest.Status, len(rest.body), err)
	}
}

func TestManyReadsOfASessionAtOnce(t *testing.T) {
	r := open(t, func(c *Config) { c.MaxStreams = 4 })
	id, want := r.put(1 << 20)
	p := r.page()
	var wg sync.WaitGroup
	for range 12 { // streams beyond the bound wait for others' ends
		wg.Go(func() {
			g, err := p.ask(Request{Chunk: id}.Append(nil))
			if err != nil || !bytes.Equal(g.body, want) {
				t.Errorf("status %d, %d bytes, error %v", g.Status, len(g.body), err)
			}
		})
	}
	wg.Wait()
}

func TestErrorsAreProblems(t *testing.T) {
	r := open(t, nil)
	id, _ := r.put(100_000)
	bad, _ := r.put(200_000)
	r.damaged[bad] = true
	p := r.page()
	for name, tc := range map[string]struct {
		request []byte
		status  uint16
		code    vstack.Code
	}{
		"no such chunk":         {Request{Chunk: vstack.ChunkID{1}}.Append(nil), 404, vstack.ErrNotFound.Code()},
		"no such fragment":      {Request{Chunk: vstack.ChunkID{1}, Piece: vstack.Piece{Scheme: vstack.DefaultScheme}}.Append(nil), 404, vstack.ErrNotFound.Code()},
		"a damaged chunk":       {Request{Chunk: bad}.Append(nil), 500, vstack.ErrCorrupt.Code()},
		"behind its end":        {Request{Chunk: id, Offset: 100_000}.Append(nil), 416, vstack.ErrRangeInvalid.Code()},
		"what is no request":    {bytes.Repeat([]byte{7}, RequestSize), 400, vstack.ErrInvalid.Code()},
		"a fragment of nothing": {Request{Chunk: id, Piece: vstack.Piece{I: 3}}.Append(nil), 400, vstack.ErrInvalid.Code()},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := p.ask(tc.request)
			if err != nil {
				t.Fatal(err)
			}
			var problem wire.Problem
			if err := json.Unmarshal(g.body, &problem); err != nil || g.Status != tc.status || problem.Code != tc.code || g.Size != 0 {
				t.Errorf("status %d, %s, error %v; want %d, %s", g.Status, g.body, err, tc.status, tc.code)
			}
		})
	}
}

func TestAFullStoreSaysSo(t *testing.T) {
	r := open(t, nil)
	id, want := r.put(50_000)
	r.held = make(chan struct{})
	p := r.page()
	var wg sync.WaitGroup
	for range 7 { // of 8, one eighth is kept for those who have none
		wg.Go(func() {
			if g, err := p.ask(Request{Chunk: id}.Append(nil)); err != nil || !bytes.Equal(g.body, want) {
				t.Errorf("status %d, error %v", g.Status, err)
			}
		})
	}
	until(t, "seven reads in flight", func() bool { return r.gate.Busy() == 7 })
	g, err := p.ask(Request{Chunk: id}.Append(nil))
	if err != nil || g.Status != http.StatusServiceUnavailable || g.RetryAfter != time.Second {
		t.Errorf("status %d, retry after %v, error %v", g.Status, g.RetryAfter, err)
	}
	close(r.held)
	wg.Wait()
}

func TestAnotherCertificateIsNoDoor(t *testing.T) {
	r := open(t, nil)
	if _, err := dial(t, r.addr, []string{"c29tZXRoaW5nIGVsc2U="}); err == nil {
		t.Error("a page took a certificate that it was not told of")
	}
}

func TestACertificateRotatesUnderASession(t *testing.T) {
	r := open(t, nil)
	id, want := r.put(10_000)
	p := r.page()
	r.clock.pass(nextAfter)
	known := hashes(t, r.certs)
	r.clock.pass(shownAfter)
	if now := hashes(t, r.certs); len(known) != 2 || now[0] != known[1] {
		t.Fatalf("known %v, now %v", known, now)
	}
	if g, err := p.ask(Request{Chunk: id}.Append(nil)); err != nil || !bytes.Equal(g.body, want) {
		t.Errorf("the session that was open: status %d, error %v", g.Status, err)
	}
	if _, err := dial(t, r.addr, known); err != nil {
		t.Errorf("who knew of the next certificate a day ago: %v", err)
	}
	if _, err := dial(t, r.addr, known[:1]); err == nil {
		t.Error("the old certificate is still shown")
	}
}

func TestStreamsOfNoSessionAreReset(t *testing.T) {
	r := open(t, func(c *Config) { c.OpenTimeout = 2 * time.Second })
	id, _ := r.put(10_000)
	p := r.page()
	str, err := p.conn.OpenStreamSync(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := str.Write(append([]byte{0x40, frameStream, 0x08}, Request{Chunk: id}.Append(nil)...)); err != nil { // session 8 is none
		t.Fatal(err)
	}
	if b, err := io.ReadAll(str); err == nil {
		t.Errorf("a stream of another session was answered with %d bytes", len(b))
	}
	short := p.open(Request{Chunk: id}.Append(nil)[:20])
	if b, err := io.ReadAll(short); err == nil {
		t.Errorf("a request that does not end was answered with %d bytes", len(b))
	}
}

func TestAConnectionWithoutReadsEnds(t *testing.T) {
	r := open(t, func(c *Config) { c.IdleTimeout = 300 * time.Millisecond })
	p := r.page()
	select {
	case <-p.conn.Context().Done():
	case <-time.After(time.Minute):
		t.Error("it stayed open")
	}
}

func TestSignalsComeToWhoReadsNothing(t *testing.T) {
	r := open(t, func(c *Config) { c.SignalsEvery = 10 * time.Millisecond })
	p := r.page()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := p.str.ReceiveDatagram(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ParseSignals(b); err != nil || s.RTT <= 0 || s.Cwnd == 0 {
		t.Errorf("signals %+v, error %v", s, err)
	}
}

func TestReadsInFlightEndBeforeTheDoorCloses(t *testing.T) {
	r := open(t, func(c *Config) { c.Grace = 30 * time.Second })
	id, want := r.put(2 << 20)
	r.held = make(chan struct{})
	p := r.page()
	var g got
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { g, err = p.ask(Request{Chunk: id}.Append(nil)) })
	until(t, "the read waits", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.waiting > 0 })
	var stopped error
	wg.Go(func() { stopped = r.stop() })
	close(r.held)
	wg.Wait()
	if err != nil || !bytes.Equal(g.body, want) || stopped != nil {
		t.Errorf("%d bytes, error %v; stopped with %v", len(g.body), err, stopped)
	}
}

func TestACancelledReadReleasesTheStore(t *testing.T) {
	r := open(t, nil)
	id, _ := r.put(2 << 20)
	r.held = make(chan struct{})
	p := r.page()
	str := p.open(Request{Chunk: id, Length: 65536}.Append(nil)) // of a whole chunk others may have a part
	until(t, "a read in flight", func() bool { return r.gate.Busy() == 1 })
	str.CancelRead(0)
	defer close(r.held)
	until(t, "the read ends", func() bool { return r.gate.Busy() == 0 })
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	if _, err := Listen(Config{Addr: "127.0.0.1"}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	if _, err := Listen(Config{Addr: "127.0.0.1:1"}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}
