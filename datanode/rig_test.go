package datanode

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/stranger/crowd"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is three datanodes of one store each over loopback, and one fake metastore.
type cluster struct {
	t      *testing.T
	meta   *metastore
	dir    string
	nodes  []*node
	admin  *identity.Identity
	client *http.Client // HTTP/2, with the administrator's certificate
}

// node is one datanode, which can be stopped and started again on its directory.
type node struct {
	c      *cluster
	name   string
	tune   func(*Config)
	server *Server
	addr   string
	id     vstack.StoreID
	stop   func()
	fatal  chan error
}

func newCluster(t *testing.T, tune func(*Config)) *cluster {
	t.Helper()
	return newClusterOf(t, []string{"h1", "h2", "h3"}, tune)
}

func newClusterOf(t *testing.T, names []string, tune func(*Config)) *cluster {
	t.Helper()
	t.Parallel() // most of the time a cluster waits
	c := &cluster{t: t, meta: newMetastore(), dir: t.TempDir()}
	ca, err := identity.CreateCA(c.dir + "/ca")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := ca.Issue(c.dir+"/"+name, identity.Spec{ID: name, Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}, ValidFor: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ca.Issue(c.dir+"/admin", identity.Spec{ID: "admin", Role: identity.RoleAdmin, ValidFor: time.Hour, Addrs: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	if c.admin, err = identity.Load(c.dir + "/admin"); err != nil {
		t.Fatal(err)
	}
	c.client = c.http(t, "HTTP/2.0", true)
	for _, name := range names {
		n := &node{c: c, name: name, tune: tune, addr: "127.0.0.1:0", stop: func() {}}
		n.start()
		c.nodes = append(c.nodes, n)
	}
	t.Cleanup(func() {
		var wg sync.WaitGroup
		for _, n := range c.nodes {
			wg.Go(n.stop)
		}
		wg.Wait()
	})
	c.place()
	return c
}

func (c *cluster) place() {
	var stores []vstack.Store
	for _, n := range c.nodes {
		stores = append(stores, vstack.Store{ID: n.id, Host: vstack.HostID(n.name), Addr: n.addr, State: vstack.StoreUp})
	}
	c.meta.place(stores...)
	for _, n := range c.nodes {
		n.ready()
	}
}

func (c *cluster) http(t *testing.T, proto string, certificate bool) *http.Client {
	t.Helper()
	tc := c.admin.ClientTLS()
	if !certificate {
		tc.GetClientCertificate = nil
	}
	if proto == "HTTP/3.0" {
		tr := &http3.Transport{TLSClientConfig: tc, QUICConfig: &quic.Config{}}
		t.Cleanup(func() { _ = tr.Close() })
		return &http.Client{Transport: tr, Timeout: 60 * time.Second}
	}
	var p http.Protocols
	p.SetHTTP1(proto == "HTTP/1.1")
	p.SetHTTP2(proto == "HTTP/2.0")
	tr := &http.Transport{TLSClientConfig: tc, Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 60 * time.Second}
}

func (n *node) dataDir() string { return n.c.dir + "/" + n.name + "-store" }

func (n *node) start() {
	n.c.t.Helper()
	id, err := identity.Load(n.c.dir + "/" + n.name)
	if err == nil {
		id.Revoke(crowd.Revoked, 1)
	}
	if err != nil {
		n.c.t.Fatal(err)
	}
	n.fatal = make(chan error, 4)
	own := crowd.Client(n.c.t, id.ClientTLS(), "HTTP/2.0")
	cfg := Config{
		Host: vstack.HostID(n.name), Stores: []StoreConfig{{Dir: n.dataDir(), Addr: n.addr}}, CatalogDir: n.dataDir() + "-catalog",
		Identity: id, Meta: n.c.meta, Peers: &peers{n.c.meta, own}, Logger: testLogger(),
		Fatal:          func(err error) { n.fatal <- err },
		SuperblockSize: 32 << 20, HeartbeatEvery: 20 * time.Millisecond, Settle: 20 * time.Millisecond,
		ConvergeEvery: 200 * time.Millisecond, Grace: 2 * time.Second, CatchUp: 500 * time.Millisecond,
	}
	if n.tune != nil {
		n.tune(&cfg)
	}
	if n.server, err = Open(n.c.t.Context(), cfg); err != nil {
		n.c.t.Fatalf("open %s: %v", n.name, err)
	}
	info := n.server.Stores()[0]
	n.addr, n.id = info.Addr, info.ID
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.server.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			n.c.t.Errorf("run %s: %v", n.name, err)
		}
		if err := n.server.Close(); err != nil {
			n.c.t.Errorf("close %s: %v", n.name, err)
		}
	})
}

// ready waits until the store would vote at the catalog's index of now.
func (n *node) ready() {
	n.c.t.Helper()
	n.c.meta.mu.Lock()
	index := n.c.meta.index
	n.c.meta.mu.Unlock()
	waitFor(n.c.t, func() bool {
		votes, _ := n.server.stores[0].voter.Votes()
		return votes && n.server.follower.Index() >= index
	})
}

func testLogger() *slog.Logger {
	if os.Getenv("VSTACK_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// open opens an upload of a new video.
func (c *cluster) open() vstack.Upload {
	var u vstack.Upload
	_, _ = rand.Read(u.ID[:]) // crypto/rand never fails
	_, _ = rand.Read(u.Video[:])
	_, _ = rand.Read(u.Owner[:])
	u.Owner[6] = u.Owner[6]&0x0f | 0x40 // a UUID of no host, see vstack.ProposerOf
	u.State = vstack.UploadOpen
	return c.meta.upload(u)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// accept is the fast path's message for data in a slot of u.
func (c *cluster) accept(u vstack.Upload, seq uint32, data []byte) message.Accept {
	slot := vstack.Slot{Video: u.Video, Seq: seq}
	group, _ := c.meta.placement.Group(slot)
	return message.Accept{
		Slot: slot, Epoch: group.Epoch, Upload: u.ID, UploadIndex: u.Index,
		Ballot: vstack.Ballot{Incarnation: u.Incarnation, Proposer: u.Owner},
		Value:  vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))},
	}
}

// send sends a message to a node and reads the answer.
func (n *node) send(m message.Message, data []byte) message.Reply {
	n.c.t.Helper()
	req, err := wire.NewPaxosRequest(n.c.t.Context(), "https://"+n.addr, m, 0, data)
	if err != nil {
		n.c.t.Fatal(err)
	}
	client := n.c.client
	switch m.(type) {
	case message.Seal, message.Install: // of a host that drives
		client = n.c.as(n.c.t, n.c.nodes[0].name)
	}
	return n.do(client, req, m)
}

// as is a client with a host's certificate.
func (c *cluster) as(t *testing.T, host string) *http.Client {
	t.Helper()
	dir := c.dir + "/" + host
	if _, err := os.Stat(dir); err != nil { // none of the cluster's
		ca, err := identity.LoadCA(c.dir + "/ca")
		if err != nil {
			t.Fatal(err)
		}
		if err := ca.Issue(dir, identity.Spec{ID: host, Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}); err != nil {
			t.Fatal(err)
		}
	}
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return crowd.Client(t, id.ClientTLS(), "HTTP/2.0")
}

func (n *node) do(client *http.Client, req *http.Request, m message.Message) message.Reply {
	n.c.t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		n.c.t.Fatalf("%T to %s: %v", m, n.name, err)
	}
	defer resp.Body.Close()
	reply, err := wire.ReadReply(resp, m)
	if err != nil {
		n.c.t.Fatalf("%T to %s: %v", m, n.name, err)
	}
	return reply
}

// put puts data into a slot on the nodes and wants every one to accept it.
func (c *cluster) put(u vstack.Upload, seq uint32, data []byte, nodes ...*node) vstack.ChunkRef {
	c.t.Helper()
	m := c.accept(u, seq, data)
	for _, n := range nodes {
		if a, ok := n.send(m, data).(message.Accepted); !ok || a.Store != n.id || a.LSN == 0 || a.Value != m.Value {
			c.t.Fatalf("put to %s: %+v", n.name, a)
		}
	}
	return vstack.ChunkRef{Seq: seq, ID: m.Value.Chunk, Size: m.Value.Size}
}

// publish publishes chunks as the one track of u's video.
func (c *cluster) publish(u vstack.Upload, refs ...vstack.ChunkRef) {
	c.meta.publish(u, &vstack.Manifest{Version: 1, Video: u.Video, Tracks: []vstack.Track{{Chunks: refs}}})
}

// get reads a path of a node.
func (n *node) get(path string, header map[string]string) (*http.Response, []byte) {
	n.c.t.Helper()
	return n.getBy(n.c.client, path, header)
}

func (n *node) getBy(client *http.Client, path string, header map[string]string) (*http.Response, []byte) {
	n.c.t.Helper()
	req, err := http.NewRequestWithContext(n.c.t.Context(), http.MethodGet, "https://"+n.addr+path, nil)
	if err != nil {
		n.c.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		n.c.t.Fatalf("GET %s of %s: %v", path, n.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.c.t.Fatalf("GET %s of %s: %v", path, n.name, err)
	}
	return resp, body
}

func (n *node) status() (st wire.StoreStatus) {
	n.c.t.Helper()
	_, body := n.get("/v1/store", nil)
	if err := json.Unmarshal(body, &st); err != nil {
		n.c.t.Fatalf("status of %s: %v: %s", n.name, err, body)
	}
	return st
}

func (n *node) has(ref vstack.ChunkRef) bool {
	_, ok := n.server.stores[0].disk.Lookup(ref.ID)
	return ok
}

// waitFor polls a condition of other goroutines, for at most a minute.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("condition not reached within a minute")
		}
		time.Sleep(5 * time.Millisecond) // the pace of the polling, not a guess at a duration
	}
}
