package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore"
	"github.com/vstack/vstack/quicclient/gateway"
	"github.com/vstack/vstack/uploader"
)

// TestAPrivateUploadIsNeverSeen asks every route of every role as a stranger, again and again
// while a private film is uploaded and once it is published: none names it, and no store gives a
// chunk of it.
func TestAPrivateUploadIsNeverSeen(t *testing.T) {
	s := newScenario(t)
	const title = "nobody-knows-of-this-film"
	file := clip(t, "8", "4")
	ended := make(chan error, 1)
	go func() {
		_, err := s.cluster.Upload(t.Context(), s.prog, file, cluster.UploadOptions{Title: title, Visibility: "private", Uploader: s.ingest(0)})
		ended <- err
	}()
	var film vstack.Video
	s.until("the upload to be open", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the upload has ended before it was seen: %v", err)
		default:
		}
		list, err := s.cluster.Meta.Videos(t.Context(), metaclient.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			film = list.Items[0]
		}
		return !film.ID.IsZero()
	})
	if film.Title != title || !film.Access.Private() {
		t.Fatalf("opened as %+v", film)
	}
	p := newProber(t, s, film.ID, title)
	walks, chunks := 0, 0
	for over := false; !over; walks++ {
		select {
		case err := <-ended:
			if over = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
		chunks = max(chunks, p.walk())
	}
	s.step("%d walks of %d requests, up to %d chunks", walks, p.asked, chunks)
	if walks < 2 || chunks == 0 {
		t.Errorf("%d walks, %d chunks: the upload was not watched", walks, chunks)
	}
}

// prober asks as a stranger.
type prober struct {
	s      *scenario
	client *http.Client
	film   vstack.VideoID
	title  string
	places *strings.Replacer
	asked  int
}

func newProber(t *testing.T, s *scenario, film vstack.VideoID, title string) *prober {
	id, err := identity.LoadRoots(filepath.Join(s.lab.Client, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: id.ClientTLS(), ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	places := strings.NewReplacer("{id}", film.String(), "{video}", film.String(), "{track}", "1", "{seq}", "1", "{segment}", "0.m4s",
		"{name}", "en.vtt", "{number}", "0", "{scheme}", "3+2")
	return &prober{s: s, client: &http.Client{Transport: tr}, film: film, title: title, places: places}
}

// walk asks everything once and returns of how many chunks it knew.
func (p *prober) walk() (chunks int) {
	places := func(path string) string {
		if strings.HasPrefix(path, "/v1/nodes/") {
			path = strings.Replace(path, "{id}", string(p.s.lab.Hosts[0].ID), 1)
		}
		return p.places.Replace(path)
	}
	for _, h := range p.s.lab.Hosts {
		self, _ := h.Config.Self()
		for _, role := range []struct {
			addr   string
			routes []wire.Route
		}{{self.API, metastore.Routes()}, {h.Config.Gateway.Addr, gateway.Routes()}, {h.Config.Ingest.Addr, uploader.Routes()}} {
			for _, r := range role.routes {
				if r.Method == http.MethodGet && r.Heeds != wire.HeedsKnowing {
					p.hidden(role.addr, places(r.Path))
				}
			}
		}
		for _, st := range h.Config.Data.Stores {
			for _, r := range datanode.Routes() {
				if r.Method == http.MethodGet && !strings.Contains(r.Path, "{sha256}") {
					p.hidden(st.Addr, places(r.Path))
				}
			}
			chunks += p.chunks(st.Addr)
		}
	}
	return chunks
}

// hidden wants an answer that does not know the film.
func (p *prober) hidden(addr, path string) {
	status, body := p.get(addr, path)
	path, _, _ = strings.Cut(path, "?")
	if status == http.StatusOK && (bytes.Contains(body, []byte(p.film.String())) || bytes.Contains(body, []byte(p.title))) {
		p.s.Errorf("GET %s%s names the film: %.300s", addr, path, body)
	}
	if status == http.StatusOK && strings.Contains(path, p.film.String()) && !strings.HasPrefix(path, "/watch/") && !strings.HasPrefix(path, "/embed/") {
		p.s.Errorf("GET %s%s answers %.300s", addr, path, body)
	}
}

// chunks wants every chunk that a store has to be refused.
func (p *prober) chunks(addr string) int {
	var page wire.InventoryPage
	if err := p.s.cluster.Get(p.s.Context(), addr, "/v1/inventory?limit=4096", &page); err != nil {
		p.s.Fatal(err)
	}
	for _, e := range page.Items {
		if status, body := p.get(addr, wire.PathChunks+e.Chunk.String()); status != http.StatusNotFound {
			p.s.Errorf("a chunk at %s: %d, %d bytes", addr, status, len(body))
		}
	}
	return len(page.Items)
}

// get reads an answer, or of one that does not end its begin.
func (p *prober) get(addr, path string) (int, []byte) {
	patience := 5 * time.Second
	switch path {
	case "/v1/feed":
		path += "?wait=0"
	case "/v1/events":
		patience = 300 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(p.s.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+path, nil)
	if err != nil {
		p.s.Fatal(err)
	}
	p.asked++
	resp, err := p.client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			p.s.Fatal(err)
		}
		return 0, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil && ctx.Err() == nil {
		p.s.Fatal(err)
	}
	return resp.StatusCode, body
}
