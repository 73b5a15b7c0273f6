package quicclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// fakeStore is a datanode in memory: the documented HTTP surface over HTTP/3 and TLS,
// around the real acceptor, with a switch for every way to misbehave.
type fakeStore struct {
	t       testing.TB
	cluster *cluster
	id      vstack.StoreID
	ident   *identity.Identity
	addr    string

	mu     sync.Mutex
	chunks map[vstack.ChunkID][]byte
	// fragments are what it holds of the one cold chunk of a test, and joined what it can make.
	fragments map[string][]byte
	joined    map[vstack.ChunkID][]byte
	leaves    vstack.LeafTable
	acceptor  *chunkpaxos.Acceptor
	lsn       vstack.LSN
	token     chunkpaxos.Token
	waiting   map[chunkpaxos.Token]chan message.Reply
	bodies    map[chunkpaxos.Token][]byte
	full      bool // answers appends with ErrDiskFull
	onGet     func(w http.ResponseWriter, r *http.Request, data []byte) (handled bool)
	onPaxos   func(w http.ResponseWriter, r *http.Request) (handled bool)
	after     func(w http.ResponseWriter, r *http.Request) (handled bool) // the vote is cast, the answer not sent

	h1   *http.Server
	h3   *http3.Server
	tr   *quic.Transport
	done sync.WaitGroup
}

// start serves on addr, or on a free port of 127.0.0.1; without udp only TCP answers.
func (s *fakeStore) start(addr string, udp bool) {
	s.t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var ln net.Listener
	var pc net.PacketConn
	for range 20 { // a port that is free for TCP may be taken for UDP
		var err error
		if ln, err = net.Listen("tcp", addr); err != nil {
			s.t.Fatal(err)
		}
		if !udp {
			break
		}
		if pc, err = net.ListenPacket("udp", ln.Addr().String()); err == nil {
			break
		}
		_ = ln.Close()
	}
	if udp && pc == nil {
		s.t.Fatal("no port is free for both TCP and UDP")
	}
	s.addr = ln.Addr().String()
	handler := s.handler()
	s.h1 = &http.Server{Handler: handler, TLSConfig: s.ident.ServerTLS(), ErrorLog: log.New(io.Discard, "", 0)}
	s.done.Go(func() { _ = s.h1.ServeTLS(ln, "", "") })
	if !udp {
		return
	}
	s.h3 = &http3.Server{Handler: handler, Logger: slog.New(slog.DiscardHandler)}
	key := quic.StatelessResetKey(s.ident.ResetKey())
	s.tr = &quic.Transport{Conn: pc, StatelessResetKey: &key}
	ql, err := s.tr.ListenEarly(http3.ConfigureTLSConfig(s.ident.ServerTLS()), &quic.Config{Allow0RTT: true, MaxIdleTimeout: 30 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	s.done.Go(func() { _ = s.h3.ServeListener(ql) })
}

// stop ends the store as SIGKILL does: without a word to its clients.
func (s *fakeStore) stop() {
	_ = s.h1.Close()
	if s.tr != nil {
		_ = s.tr.Close()
		_ = s.tr.Conn.Close()
		_ = s.h3.Close()
	}
	s.done.Wait()
	s.h1, s.h3, s.tr = nil, nil, nil
}

func (s *fakeStore) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/chunks/{id}", s.get)
	mux.HandleFunc("GET /v1/chunks/{id}/fragments/{scheme}/{number}", s.fragment)
	mux.HandleFunc("PUT /v1/chunks/{id}", s.paxos)
	mux.HandleFunc("POST /v1/paxos/", s.paxos)
	return mux
}

func (s *fakeStore) get(w http.ResponseWriter, r *http.Request) {
	s.cluster.event("get", s)
	id, err := vstack.ParseChunkID(r.PathValue("id"))
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	s.mu.Lock()
	data, ok := s.chunks[id]
	hook := s.onGet
	if !ok && r.Header.Get(wire.HeaderFragments) == "" {
		data, ok = s.joined[id]
	}
	s.mu.Unlock()
	if !ok {
		s.absent(w)
		return
	}
	timing := wire.ServerTiming{RTT: 2 * time.Millisecond, Cwnd: 65536, Sent: 100, Lost: 1, Busy: 1, Disk: time.Millisecond}
	w.Header().Set(wire.HeaderServerTiming, timing.String())
	w.Header().Set("ETag", `"`+id.String()+`"`)
	w.Header().Set("Trailer", wire.HeaderServerTiming)
	if hook != nil && hook(w, r, data) {
		return
	}
	if err := serveRange(w, r, data); err == nil {
		timing.Cwnd = 131072
		w.Header().Set(wire.HeaderServerTiming, timing.String())
	}
}

func serveRange(w http.ResponseWriter, r *http.Request, data []byte) error {
	from, to, status := 0, len(data)-1, http.StatusOK
	if spec := r.Header.Get("Range"); spec != "" {
		if _, err := fmt.Sscanf(spec, "bytes=%d-%d", &from, &to); err != nil || to >= len(data) {
			return err
		}
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(to-from+1))
	w.WriteHeader(status)
	_, err := w.Write(data[from : to+1])
	return err
}

// paxos is the acceptor's runtime: it verifies what a datanode verifies and carries
// effects out at once, in memory.
func (s *fakeStore) paxos(w http.ResponseWriter, r *http.Request) {
	s.cluster.event(strings.ToLower(r.Method), s)
	if _, err := identity.RequirePeer(r, vstack.RoleIngest); err != nil {
		wire.WriteError(w, err)
		return
	}
	s.mu.Lock()
	before, after := s.onPaxos, s.after
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	msg, echo, hasBytes, err := wire.ReadPaxosRequest(r)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	var body []byte
	if acc, ok := msg.(message.Accept); ok && hasBytes {
		body, err = io.ReadAll(io.LimitReader(r.Body, int64(acc.Value.Size)+1))
		if err != nil || len(body) != int(acc.Value.Size) || vstack.ChunkIDOf(body) != acc.Value.Chunk {
			wire.WriteError(w, fmt.Errorf("%w: %v", vstack.ErrHashMismatch, err))
			return
		}
	}
	reply := s.ask(msg, echo, body)
	if after != nil && after(w, r) {
		return
	}
	wire.WriteReply(w, reply)
}

func (s *fakeStore) ask(msg message.Message, echo vstack.LSN, body []byte) message.Reply {
	s.mu.Lock()
	s.token++
	token, ch := s.token, make(chan message.Reply, 1)
	s.waiting[token] = ch
	if body != nil {
		s.bodies[token] = body
	}
	s.run(s.acceptor.Step(chunkpaxos.Request{Token: token, Msg: msg, HasBytes: body != nil, Echo: echo}))
	s.mu.Unlock()
	select {
	case reply := <-ch:
		return reply
	case <-time.After(20 * time.Second):
		return message.Nack{Store: s.id, Reason: vstack.ErrTimeout, Detail: "the acceptor never answered"}
	}
}

// run carries effects out; the lock is held.
func (s *fakeStore) run(effects []chunkpaxos.Effect) {
	for len(effects) > 0 {
		e := effects[0]
		effects = effects[1:]
		switch e := e.(type) {
		case chunkpaxos.Append:
			in := chunkpaxos.AppendDone{Token: e.Token}
			if s.full && e.WithBytes {
				in.Err = vstack.ErrDiskFull
			} else {
				s.lsn++
				in.LSN = s.lsn
				if body := s.bodies[e.Token]; e.WithBytes {
					s.chunks[vstack.ChunkIDOf(body)] = body
				}
			}
			effects = append(effects, s.acceptor.Step(in)...)
		case chunkpaxos.FetchBytes:
			in := chunkpaxos.BytesReady{Token: e.Token, Stored: true}
			for _, v := range e.Values {
				if _, ok := s.chunks[v.Chunk]; !ok {
					in = chunkpaxos.BytesReady{Token: e.Token, Err: vstack.ErrBytesMissing}
				}
			}
			effects = append(effects, s.acceptor.Step(in)...)
		case chunkpaxos.Respond:
			s.waiting[e.Token] <- e.Reply
			delete(s.waiting, e.Token)
			delete(s.bodies, e.Token)
		case chunkpaxos.Alarm, chunkpaxos.Halt:
			s.t.Errorf("store %s: %+v", s.id, e)
		}
	}
}

func (s *fakeStore) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *fakeStore) has(id vstack.ChunkID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.chunks[id]
	return ok
}

// cluster is a few fake stores with a placement map and a log of what they saw.
type cluster struct {
	t       testing.TB
	ca      *identity.CA
	caDir   string
	stores  []*fakeStore
	uploads []vstack.Upload

	mu     sync.Mutex
	places *vstack.PlacementMap
	asked  int // times that the map was asked for
	events []string
}

// newCluster starts n stores on hosts of their own. Every placement group has all of
// them as targets, in the same order, so the first three are every slot's acceptors.
func newCluster(t testing.TB, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, caDir: t.TempDir() + "/ca"}
	var err error
	if c.ca, err = identity.CreateCA(c.caDir); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := c.ca.Issue(dir, identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	ident, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s := &fakeStore{
			t: t, cluster: c, id: storeID(i), ident: ident, chunks: make(map[vstack.ChunkID][]byte),
			waiting: make(map[chunkpaxos.Token]chan message.Reply), bodies: make(map[chunkpaxos.Token][]byte),
		}
		if s.acceptor, err = chunkpaxos.NewAcceptor(chunkpaxos.AcceptorConfig{Store: s.id}); err != nil {
			t.Fatal(err)
		}
		s.start("", true)
		c.stores = append(c.stores, s)
	}
	t.Cleanup(func() {
		for _, s := range c.stores {
			if s.h1 != nil {
				s.stop()
			}
		}
	})
	c.place(1, 1, c.ids(0, 1, 2, 3, 4)...)
	return c
}

func storeID(i int) (id vstack.StoreID) { id[0], id[15] = 0xa0, byte(i); return id }

func (c *cluster) ids(order ...int) (ids []vstack.StoreID) {
	for _, i := range order {
		if i < len(c.stores) {
			ids = append(ids, c.stores[i].id)
		}
	}
	return ids
}

// place assigns targets to every group, in the map and in the stores' catalogs.
func (c *cluster) place(version uint64, epoch vstack.Epoch, targets ...vstack.StoreID) {
	m := &vstack.PlacementMap{Version: version}
	for range vstack.PlacementGroups {
		m.Groups = append(m.Groups, vstack.PGTargets{Epoch: epoch, Targets: targets})
	}
	for i, s := range c.stores {
		m.Stores = append(m.Stores, vstack.Store{
			ID: s.id, Host: vstack.HostID("h" + strconv.Itoa(i+1)), Addr: s.addr, State: vstack.StoreUp, Capacity: 1 << 30,
		})
	}
	c.mu.Lock()
	c.places = m
	c.mu.Unlock()
	c.tell(epoch, targets)
}

// tell brings the stores' catalogs up to date.
func (c *cluster) tell(epoch vstack.Epoch, targets []vstack.StoreID) {
	groups := make([]chunkpaxos.Group, vstack.PlacementGroups)
	for i := range groups {
		groups[i] = chunkpaxos.Group{PG: vstack.PG(i), Epoch: epoch, Acceptors: targets[:min(3, len(targets))]}
	}
	for _, s := range c.stores {
		s.set(func() {
			s.run(s.acceptor.Step(chunkpaxos.CatalogChange{Applied: 1000, Groups: groups, Uploads: c.uploads}))
			s.run(s.acceptor.Step(chunkpaxos.Echo{Index: 1000, Current: s.lsn}))
		})
	}
}

// upload opens an upload, or resumes it under a newer incarnation.
func (c *cluster) upload(inc vstack.Incarnation) vstack.Upload {
	up := vstack.Upload{
		ID: vstack.UploadID{1}, Video: testVideo, State: vstack.UploadOpen, Incarnation: inc,
		Owner: vstack.ProposerID{0xcc, byte(inc)}, Index: uint64(inc),
	}
	c.uploads = []vstack.Upload{up}
	m := c.placement()
	c.tell(m.Groups[0].Epoch, m.Groups[0].Targets)
	return up
}

func (c *cluster) placement() *vstack.PlacementMap {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.places
}

func (c *cluster) event(kind string, s *fakeStore) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, kind+" "+strconv.Itoa(slices.Index(c.stores, s)))
}

// seen counts the events of a kind, over all stores or at those given.
func (c *cluster) seen(kind string, at ...int) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		k, i, _ := strings.Cut(e, " ")
		if idx, _ := strconv.Atoi(i); k == kind && (len(at) == 0 || slices.Contains(at, idx)) {
			n++
		}
	}
	return n
}

// put stores a chunk on stores and returns its name.
func (c *cluster) put(data []byte, at ...int) vstack.ChunkRef {
	id := vstack.ChunkIDOf(data)
	for _, i := range at {
		c.stores[i].set(func() { c.stores[i].chunks[id] = data })
	}
	return vstack.ChunkRef{Seq: 1, ID: id, Size: uint32(len(data)), Duration: 1}
}

// client makes a client with a host's certificate; its Close is the test's cleanup.
func (c *cluster) client(change func(*Config)) *Client {
	c.t.Helper()
	cfg := Config{TLS: c.stores[0].ident.ClientTLS(), Placement: c.getPlacement, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	cl, err := New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := cl.Close(); err != nil {
			c.t.Errorf("close client: %v", err)
		}
	})
	return cl
}

func (c *cluster) getPlacement(ctx context.Context) (*vstack.PlacementMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.places == nil {
		return nil, errors.New("no map")
	}
	return c.places, ctx.Err()
}

// readerTLS has no client certificate.
func (c *cluster) readerTLS() *tls.Config {
	c.t.Helper()
	r, err := identity.LoadRoots(c.caDir + "/ca.crt")
	if err != nil {
		c.t.Fatal(err)
	}
	return r.ClientTLS()
}
