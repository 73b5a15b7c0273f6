package catalog

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore"
)

// realMember is a metastore of one member, which three hosts of two stores have told of
// themselves, and what crosses the network to those who ask it.
type realMember struct {
	t     *testing.T
	api   string
	admin *metaclient.Client
	host  *identity.Identity
	bytes counting // to the host's clients
}

func storeOf(host, n int) vstack.StoreID { return vstack.StoreID{0xaa, byte(host), byte(n + 1)} }

func startMember(t *testing.T) *realMember {
	t.Helper()
	dir, ip := t.TempDir(), loopback.Subnet(t)+".1"
	ca, err := identity.CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	issue := func(id string, role identity.Role) *identity.Identity {
		to := filepath.Join(dir, "tls-"+id)
		if err := ca.Issue(to, identity.Spec{ID: id, Role: role, Addrs: []string{ip, "127.0.0.1", "127.0.0.2", "127.0.0.3"}, ValidFor: 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		got, err := identity.Load(to)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	h1 := issue("h1", identity.RoleHost)
	srv, err := metastore.Open(t.Context(), metastore.Config{
		ID: "h1", Dir: filepath.Join(dir, "meta"), Peers: []metastore.PeerConfig{{ID: "h1", Raft: ip + ":7080", API: ip + ":8080"}}, Identity: h1,
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Errorf("member: %v", err) },
		SettleAfter: 100 * time.Millisecond, Tick: 20 * time.Millisecond, SuspectAfter: time.Hour, DownAfter: 2 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("member ended: %v", err)
		}
	})
	m := &realMember{t: t, host: h1, api: ip + ":8080"}
	m.admin = m.client(issue("admin", identity.RoleAdmin), nil)
	for h := range 3 {
		hb := wire.Heartbeat{Host: vstack.HostID(fmt.Sprintf("h%d", h+1)), Version: "test"}
		for n := range 2 {
			hb.Stores = append(hb.Stores, wire.StoreReport{ID: storeOf(h, n), Addr: fmt.Sprintf("127.0.0.%d:808%d", h+1, n+1), Capacity: 1 << 30, LSN: 1})
		}
		as := h1
		if h > 0 {
			as = issue(string(hb.Host), identity.RoleHost)
		}
		cl := m.client(as, nil)
		eventually(t, func() bool { _, err := cl.Heartbeat(t.Context(), hb); return err == nil })
	}
	eventually(t, func() bool {
		p, err := m.admin.RefreshPlacement(t.Context())
		return err == nil && p.Ready() && len(p.Stores) == 6
	})
	return m
}

func (m *realMember) client(as *identity.Identity, over network.Network) *metaclient.Client {
	m.t.Helper()
	cl, err := metaclient.New(metaclient.Config{Endpoints: []string{m.api}, TLS: as.ClientTLS(), Logger: slog.New(slog.DiscardHandler),
		Timeout: 5 * time.Minute, AttemptTimeout: 2 * time.Minute, Network: over})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(cl.Close)
	return cl
}

// counting is the network, and the bytes that came from it.
type counting struct {
	network.OS
	n atomic.Int64
}

func (c *counting) Dial(ctx context.Context, netw, addr string) (net.Conn, error) {
	conn, err := c.OS.Dial(ctx, netw, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{conn, &c.n}, nil
}

type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// publish adds a video of so many chunks and an init chunk.
func (m *realMember) publish(chunks int) vstack.Video {
	m.t.Helper()
	ctx := m.t.Context()
	up, err := m.admin.OpenUpload(ctx, wire.OpenUploadRequest{Title: "a film", Owner: vstack.ProposerID{1},
		Source: vstack.Source{Name: "a.mp4", Size: 5, SHA256: vstack.ChunkID{1}}})
	if err != nil {
		m.t.Fatal(err)
	}
	name := func(n int) (id vstack.ChunkID) {
		copy(id[:], up.Video[:])
		binary.BigEndian.PutUint32(id[16:], uint32(n))
		return vstack.ChunkIDOf(id[:])
	}
	tr := vstack.Track{Number: 1, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 1000, Init: vstack.ChunkRef{ID: name(0), Size: 700}}
	for n := 1; n <= chunks; n++ {
		tr.Chunks = append(tr.Chunks, vstack.ChunkRef{Seq: uint32(n), ID: name(n), Size: 2 << 20, Start: int64(n) * 4000, Duration: 4000, Keyframe: true})
	}
	v, err := m.admin.Publish(ctx, up.ID, wire.PublishRequest{Incarnation: up.Incarnation,
		Manifest: vstack.Manifest{Version: 1, Video: up.Video, Duration: float64(4 * chunks), Tracks: []vstack.Track{tr}}})
	if err != nil {
		m.t.Fatal(err)
	}
	return v
}

// asked is a feed that notes what went through it.
type asked struct {
	Feed
	mu       sync.Mutex
	requests []feed.Request
	pages    []feed.Page // without references
	count    int         // of references
}

func (a *asked) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	page, err := a.Feed.Follow(ctx, req)
	if err != nil {
		return page, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, req)
	bare := page
	bare.Videos = nil
	for _, v := range page.Videos {
		a.count += len(v.References)
	}
	a.pages = append(a.pages, bare)
	return page, nil
}

// jsonMember is the member as those of the first release are: it knows nothing of groups.
type jsonMember struct {
	url    string
	client *http.Client
}

func (m *realMember) ofTheFirstRelease() jsonMember {
	tr := &http.Transport{TLSClientConfig: m.host.ClientTLS(), DialContext: m.bytes.Dial}
	m.t.Cleanup(tr.CloseIdleConnections)
	return jsonMember{"https://" + m.api + "/v1/feed?", &http.Client{Transport: tr}}
}

func (j jsonMember) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url+req.Query().Encode(), nil)
	if err != nil {
		return feed.Page{}, err
	}
	r.Header.Set(wire.HeaderLevel, strconv.Itoa(int(vstack.NewestLevel)))
	resp, err := j.client.Do(r)
	if err != nil {
		return feed.Page{}, err
	}
	defer resp.Body.Close()
	var page wire.FeedPage
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || resp.StatusCode != http.StatusOK {
		return feed.Page{}, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	return feed.FromJSON(&page, req), nil
}

// firstRelease reads the feed as a datanode of cc9200c does at every start: to the map, which
// comes in the page of its last change, and then all of it again.
func firstRelease(t *testing.T, cl *metaclient.Client, end uint64) (pages int) {
	t.Helper()
	for since, placed := uint64(0), false; since < end; pages++ {
		page, err := cl.Feed(t.Context(), since)
		if err != nil {
			t.Fatal(err)
		}
		if grew := page.Placement.Ready() && !placed; grew && since > 0 {
			since, placed = 0, true
		} else {
			since, placed = page.Index, placed || grew
		}
	}
	return pages
}

// TestTheFeedOfARealMember is also the measurement of docs/performance.md: VSTACK_FEED_CHUNKS
// is the number of chunks in the catalog, and -v prints the figures.
func TestTheFeedOfARealMember(t *testing.T) {
	total := 3000
	if n, err := strconv.Atoi(os.Getenv("VSTACK_FEED_CHUNKS")); err == nil {
		total = n
	}
	m := startMember(t)
	each := min(total/3, 10_000)
	films := 0
	var last vstack.Video
	for ; films*each < total; films++ {
		last = m.publish(each - 1)
	}
	// A change of the map after the films, as of any store that was down for a while: it is
	// what made a start read everything twice.
	if _, err := m.client(m.host, &m.bytes).Heartbeat(t.Context(), wire.Heartbeat{Host: "h1", Version: "test", Stores: []wire.StoreReport{
		{ID: storeOf(0, 0), Addr: "127.0.0.1:9081", Capacity: 1 << 30, LSN: 1}, {ID: storeOf(0, 1), Addr: "127.0.0.1:8082", Capacity: 1 << 30, LSN: 1}}}); err != nil {
		t.Fatal(err)
	}
	place, err := m.admin.RefreshPlacement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cl := m.client(m.host, &m.bytes)
	measure := func(what string, f func()) (bytes int64) {
		before, began := m.bytes.n.Load(), time.Now()
		f()
		bytes = m.bytes.n.Load() - before
		t.Logf("%-52s %12d bytes %8.3f s", what, bytes, time.Since(began).Seconds())
		return bytes
	}
	t.Logf("%d films, %d chunks, 6 stores", films, films*each)
	old := measure("start, first release", func() { firstRelease(t, cl, place.Version) })

	stores := []vstack.StoreID{storeOf(0, 0), storeOf(0, 1)}
	fs := vfs.NewMem()
	var a *asked
	open := func(from Feed) (*Follower, func()) {
		a = &asked{Feed: from}
		return start(t, Config{Feed: a, Dir: "view", FS: fs, Stores: stores})
	}
	var fo *Follower
	var stop func()
	first := measure("start with nothing kept", func() {
		fo, stop = open(cl)
		until(t, fo, func() bool { return fo.Synced(place.Version) })
	})
	n, _ := references(t, fo)
	if a.mu.Lock(); a.requests[0].Map != 0 || a.pages[0].Placement == nil || a.count != n || n != fits(t, fo, films*each) {
		t.Errorf("%d of %d references came for %d that are kept; the map came as %v", a.count, films*each, n, a.pages[0].Placement != nil)
	}
	a.mu.Unlock()
	if old < 3*first {
		t.Errorf("%d bytes, and the first release took %d", first, old)
	}
	stop()

	title := "another title"
	if _, err := m.admin.PatchVideo(t.Context(), last.ID, wire.VideoPatch{Title: &title}); err != nil {
		t.Fatal(err)
	}
	renamed, err := m.admin.Video(t.Context(), last.ID)
	if err != nil {
		t.Fatal(err)
	}
	again := measure("start with the view kept, one title since", func() {
		fo, stop = open(cl)
		until(t, fo, func() bool { return fo.Synced(renamed.Index) })
	})
	if a.mu.Lock(); a.count != 0 || a.requests[0].Since < place.Version {
		t.Errorf("a restart asked %+v and got %d references", a.requests[0], a.count)
	}
	a.mu.Unlock()
	if again > 64<<10 {
		t.Errorf("a restart read %d bytes", again)
	}

	title = "a third title"
	measure("a change of title, to one host", func() {
		v, err := m.admin.PatchVideo(t.Context(), last.ID, wire.VideoPatch{Title: &title})
		if err != nil {
			t.Fatal(err)
		}
		until(t, fo, func() bool { return fo.Synced(v.Index) })
	})
	if a.mu.Lock(); a.count != 0 {
		t.Errorf("a title brought %d references", a.count)
	}
	a.mu.Unlock()
	v, err := m.admin.Video(t.Context(), last.ID)
	if err != nil {
		t.Fatal(err)
	}
	measure("a change of title, to one host of the first release", func() {
		if page, err := cl.Feed(t.Context(), v.Index-1); err != nil || len(page.Videos) != 1 || page.Videos[0].Manifest == nil {
			t.Errorf("page %+v, %v", page, err)
		}
	})
	stop()

	// What was read from this member is read on from one of the first release, and there anew.
	added := m.publish(50)
	for _, what := range []string{
		"start, members of the first release, view kept", "start, members of the first release, nothing kept"} {
		measure(what, func() {
			fo, stop = open(m.ofTheFirstRelease())
			until(t, fo, func() bool { return fo.Synced(added.Index) })
		})
		if n, _ := references(t, fo); n != fits(t, fo, films*each+51) {
			t.Errorf("%s: %d references", what, n)
		}
		stop()
		fs = vfs.NewMem()
	}
}

// fits is how many of the references a host should keep: all groups have one of its stores
// among five of six targets, so that it is all of them.
func fits(t *testing.T, fo *Follower, all int) int {
	t.Helper()
	for pg := range vstack.PG(vstack.PlacementGroups) {
		if !wanted(fo.Placement(), pg, fo.cfg.Stores) {
			t.Fatalf("group %d has none of the host's stores", pg)
		}
	}
	return all
}
