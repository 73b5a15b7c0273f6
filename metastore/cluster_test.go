package metastore

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/duties"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests of clusters wait for elections and for connections to drain, so more of
	// them run at a time than there are processors.
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// cluster is a number of members in this process, over real TLS on a loopback subnet
// of its own.
type cluster struct {
	t       *testing.T
	dir     string
	peers   []PeerConfig
	ids     []*identity.Identity
	members []*member
	admin   *identity.Identity
	ca      *identity.CA
	adjust  func(*Config)
	// founders are the first of the peers; those after them were grown and join.
	founders int
}

type member struct {
	*Server
	stop context.CancelFunc
	done chan error

	mu    sync.Mutex
	fatal error
}

func (m *member) died() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fatal
}

func newCluster(t *testing.T, n int, adjust func(*Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: fastDir(t), adjust: adjust, members: make([]*member, n), founders: n}
	ca, err := identity.CreateCA(filepath.Join(c.dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	c.ca = ca
	subnet := loopback.Subnet(t)
	for i := range n {
		c.addPeer(fmt.Sprintf("%s.%d", subnet, i+1))
	}
	c.admin = c.issue(identity.Spec{ID: "admin", Role: identity.RoleAdmin, Addrs: []string{"127.0.0.1"}})
	t.Cleanup(func() {
		for i := range c.members {
			c.stop(i)
		}
	})
	for i := range n {
		c.start(i)
	}
	return c
}

// fastDir is a directory of the test, in memory where there is such a file system: a disk on
// which others write takes seconds to flush, and no leader stays. What becomes of a member
// whose disk is slow is tested in raftnode.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "vstack-metastore-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (c *cluster) addPeer(ip string) {
	id := fmt.Sprintf("h%d", len(c.peers)+1)
	c.peers = append(c.peers, PeerConfig{ID: id, Raft: ip + ":7080", API: ip + ":8080"})
	c.ids = append(c.ids, c.issue(identity.Spec{ID: id, Role: identity.RoleHost, Addrs: []string{ip}}))
}

// impatient is for tests of silence: long enough apart that a busy machine sees both.
func impatient(cfg *Config) { cfg.SuspectAfter, cfg.DownAfter = time.Second, 4*time.Second }

func (c *cluster) issue(spec identity.Spec) *identity.Identity {
	c.t.Helper()
	spec.ValidFor = time.Hour
	if spec.Role == identity.RoleHost {
		for n := range 9 { // where heartbeatOf has their stores
			spec.Addrs = append(spec.Addrs, fmt.Sprintf("127.0.0.%d", n+1))
		}
	}
	dir := filepath.Join(c.dir, "tls-"+spec.ID)
	if err := c.ca.Issue(dir, spec); err != nil {
		c.t.Fatal(err)
	}
	id, err := identity.Load(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *cluster) config(i int, m *member) Config {
	cfg := Config{
		ID: c.peers[i].ID, Dir: filepath.Join(c.dir, c.peers[i].ID), Peers: c.peers, Join: i >= c.founders, Identity: c.ids[i],
		Logger: slog.New(slog.DiscardHandler),
		Fatal: func(err error) {
			m.mu.Lock()
			m.fatal = errors.Join(m.fatal, err)
			m.mu.Unlock()
		},
		SettleAfter: 100 * time.Millisecond, Tick: 20 * time.Millisecond, ViewsEvery: 50 * time.Millisecond,
		// A store that a starved machine silences is not taken for down: such a test is about
		// something else. See impatient.
		SuspectAfter: time.Minute, DownAfter: 2 * time.Minute,
		HeartbeatTimeout: 250 * time.Millisecond * patience, ElectionTimeout: 250 * time.Millisecond * patience, LeaseTimeout: 200 * time.Millisecond * patience,
	}
	if os.Getenv("VSTACK_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("member", cfg.ID)
	}
	if c.adjust != nil {
		c.adjust(&cfg)
	}
	return cfg
}

func (c *cluster) start(i int) {
	c.t.Helper()
	m := &member{done: make(chan error, 1)}
	s, err := Open(context.Background(), c.config(i, m))
	if err != nil {
		c.t.Fatalf("open member %d: %v", i, err)
	}
	m.Server = s
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	go func() { m.done <- s.Run(ctx) }()
	c.members[i] = m
}

// stop ends a member; a second stop does nothing.
func (c *cluster) stop(i int) {
	m := c.members[i]
	if m == nil {
		return
	}
	c.members[i] = nil
	m.stop()
	if err := <-m.done; err != nil {
		c.t.Errorf("member %d ended: %v", i, err)
	}
	if err := m.died(); err != nil {
		c.t.Errorf("member %d would have ended its process: %v", i, err)
	}
}

// leader waits until one live member leads.
func (c *cluster) leader() int {
	c.t.Helper()
	found := -1
	c.eventually("a leader", func() bool {
		found = -1
		for i, m := range c.members {
			if m != nil && m.Leading() {
				found = i
			}
		}
		return found >= 0
	})
	return found
}

// eventually polls a condition, because what changes is behind a network.
func (c *cluster) eventually(what string, done func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(8 * time.Minute) // a busy machine; it costs nothing when all is well
	for !done() {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited too long for %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// client talks to the given members, or to all.
func (c *cluster) client(only ...int) *metaclient.Client {
	return c.clientAs(c.admin, only...)
}

func (c *cluster) clientAs(id *identity.Identity, only ...int) *metaclient.Client {
	c.t.Helper()
	var endpoints []string
	for i, p := range c.peers {
		if len(only) == 0 || contains(only, i) {
			endpoints = append(endpoints, p.API)
		}
	}
	cl, err := metaclient.New(metaclient.Config{Endpoints: endpoints, TLS: id.ClientTLS(), Timeout: time.Minute, AttemptTimeout: 5 * time.Second})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

func contains(s []int, v int) bool {
	for _, x := range s {
		if x == v {
			return true
		}
	}
	return false
}

func storeID(host, n int) vstack.StoreID {
	return vstack.StoreID{0xaa, byte(host), byte(n), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
}

func heartbeatOf(host int, lsn vstack.LSN) wire.Heartbeat {
	hb := wire.Heartbeat{Host: vstack.HostID(fmt.Sprintf("h%d", host+1)), Version: "test"}
	for n := range 2 {
		hb.Stores = append(hb.Stores, wire.StoreReport{ID: storeID(host, n), Addr: fmt.Sprintf("127.0.0.%d:808%d", host+1, n+1), Capacity: 1 << 30, LSN: lsn})
	}
	return hb
}

// heartbeat is repeated until one is answered, as by a host: the client sends each once.
func (c *cluster) heartbeat(cl *metaclient.Client, hb wire.Heartbeat) (reply wire.HeartbeatReply) {
	c.t.Helper()
	c.eventually("a heartbeat of "+string(hb.Host), func() (ok bool) {
		var err error
		reply, err = cl.Heartbeat(c.t.Context(), hb)
		return err == nil
	})
	return reply
}

// register sends one heartbeat for each of three hosts with two stores each, and waits
// for the placement.
func (c *cluster) register() {
	c.t.Helper()
	for h := range 3 {
		id := fmt.Sprintf("h%d", h+1)
		as := c.issue(identity.Spec{ID: id, Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
		cl := c.clientAs(as)
		c.heartbeat(cl, heartbeatOf(h, 1))
	}
	cl := c.client()
	c.eventually("placement over six stores", func() bool {
		m, err := cl.RefreshPlacement(c.t.Context())
		return err == nil && m.Ready() && duties.Covers(m) && len(m.Stores) == 6
	})
}

func testSource(name string) vstack.Source {
	return vstack.Source{Name: name, Size: 123, SHA256: vstack.ChunkID(sha256.Sum256([]byte(name))), Container: "mov,mp4"}
}

func testManifest(video vstack.VideoID, chunks int) vstack.Manifest {
	t := vstack.Track{Number: 1, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 1000,
		Init: vstack.ChunkRef{ID: vstack.ChunkIDOf([]byte("init")), Size: 700}}
	for i := range chunks {
		t.Chunks = append(t.Chunks, vstack.ChunkRef{Seq: uint32(i + 1), ID: vstack.ChunkIDOf(fmt.Append(nil, video, i)), Size: 1 << 20,
			Start: int64(i) * 4000, Duration: 4000, Keyframe: true})
	}
	return vstack.Manifest{Version: 1, Video: video, Duration: float64(chunks) * 4, Tracks: []vstack.Track{t}}
}

// publish opens and publishes a video of some chunks.
func publish(ctx context.Context, cl *metaclient.Client, title string, chunks int) (vstack.Video, vstack.Upload, error) {
	up, err := cl.OpenUpload(ctx, wire.OpenUploadRequest{Title: title, Owner: vstack.ProposerID{1}, Source: testSource(title)})
	if err != nil {
		return vstack.Video{}, up, err
	}
	v, err := cl.Publish(ctx, up.ID, wire.PublishRequest{Incarnation: up.Incarnation, Manifest: testManifest(up.Video, chunks)})
	return v, up, err
}

var listAll = metaclient.ListOptions{}

func uploadsOf(name string) metaclient.UploadFilter {
	return metaclient.UploadFilter{State: vstack.UploadOpen, SourceSHA256: testSource(name).SHA256}
}
