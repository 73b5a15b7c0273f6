package main

import (
	"crypto/ed25519"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/stranger/crowd"
	"github.com/vstack/vstack/internal/stranger/webpage"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// revokedWithin is how long a revoked token may play on: what a gateway knows of a film counts for
// 2 s, and stores hear of it by the feed.
const revokedWithin = 10 * time.Second

// TestATokenIsRevokedWhileAFilmPlays reads a private film over each protocol until its token is
// revoked, and measures how long it is read after that.
func TestATokenIsRevokedWhileAFilmPlays(t *testing.T) {
	s := newScenario(t)
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", clip(t, "4", "1"), "--visibility", "private")
	film := jobs.Items[0].Video
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cluster.Meta.AddKey(t.Context(), wire.TokenKeyRequest{ID: "k1", Public: wire.Base64URL(public)}); err != nil {
		t.Fatal(err)
	}
	token, err := watch.Sign(private, watch.Token{Key: "k1", Video: film, Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var players []*viewing
	for name, ask := range s.readers(t, film, token) {
		p := &viewing{name: name, ask: ask}
		players = append(players, p)
		s.until(name+" to play", func() bool { return p.plays(t) })
	}
	s.step("%d readers play", len(players))
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, p := range players {
		all.Go(func() { p.run(t, stop) })
	}
	began := time.Now()
	s.vstackJSON(nil, "token", "revoke", "--video", film.String())
	told := time.Since(began)
	s.until("every reader to be refused", func() bool {
		for _, p := range players {
			if p.last().IsZero() {
				return false
			}
		}
		return true
	})
	close(stop)
	all.Wait()
	s.step("the command took %.2f s", told.Seconds())
	for _, p := range players {
		took := p.last().Sub(began)
		s.step("%s: refused %.2f s after the command began", p.name, took.Seconds())
		if took > revokedWithin {
			t.Errorf("%s: read for %s after that", p.name, took)
		}
	}
}

// viewing reads again and again.
type viewing struct {
	name string
	ask  func() (int, error)

	mu      sync.Mutex
	refused time.Time
}

func (p *viewing) last() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

func (p *viewing) plays(t *testing.T) bool {
	status, err := p.ask()
	if err != nil {
		t.Log(p.name, err)
	}
	return err == nil && status == http.StatusOK
}

func (p *viewing) run(t *testing.T, stop chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		status, err := p.ask()
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			return
		}
		p.mu.Lock()
		if status == http.StatusNotFound && p.refused.IsZero() {
			p.refused = time.Now()
		} else if status == http.StatusOK {
			p.refused = time.Time{}
		}
		p.mu.Unlock()
	}
}

// readers are ways to read a chunk of the film from a store, and its beginning from a gateway.
func (s *scenario) readers(t *testing.T, film vstack.VideoID, token string) map[string]func() (int, error) {
	m, err := s.cluster.Meta.Manifest(t.Context(), film)
	if err != nil {
		t.Fatal(err)
	}
	track := m.Tracks[0]
	places, err := s.cluster.Meta.Placement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	group, _ := places.Group(vstack.Slot{Video: film, Track: track.Number, Seq: track.Init.Seq})
	store, _ := places.Store(group.Targets[0])
	id, err := identity.LoadRoots(filepath.Join(s.lab.Client, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]func() (int, error){}
	get := func(proto, url string) func() (int, error) {
		client := crowd.Client(t, id.ClientTLS(), proto)
		return func() (int, error) {
			resp, err := client.Get(url)
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode, err
		}
	}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		out["a store, "+proto] = get(proto, "https://"+store.Addr+wire.PathChunks+track.Init.ID.String()+"?t="+token)
	}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		out["a gateway, "+proto] = get(proto, "https://"+s.lab.Hosts[0].Config.Gateway.Addr+watch.Prefix+token+"/play/"+film.String()+"/1/init.mp4")
	}
	door := s.door(t, store.ID)
	session, err := webpage.Dial(t.Context(), door, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	out["a store, WebTransport"] = func() (int, error) {
		status, _, err := session.Read(t.Context(), track.Init.ID)
		return status, err
	}
	return out
}

// door is where pages read from a store.
func (s *scenario) door(t *testing.T, store vstack.StoreID) (found wire.BrowserDoor) {
	t.Helper()
	s.until("the store to have a door", func() bool {
		nodes, err := s.cluster.Meta.Nodes(t.Context())
		if err != nil {
			return false
		}
		for _, n := range nodes {
			for _, st := range n.Stores {
				if st.ID == store && st.Report != nil && st.Report.Browser != nil {
					found = *st.Report.Browser
				}
			}
		}
		return found.Addr != ""
	})
	return found
}
