package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	door "github.com/vstack/vstack/datanode/browser"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/doors"
	"github.com/vstack/vstack/web"
)

// player is the state of the page's player of the stores.
type player struct {
	Useful, Extra, Gateway float64
	FirstPicture           float64
	Stalls                 int
	Error                  string
	Stores                 []struct {
		ID, Host, Link string
		Bytes          float64
		Lies           int
	}
	Liars []struct{ Store, Host string }
	Strip []struct{ Size, Head float64 }
}

func (p player) bytesOf(host string) (n float64) {
	for _, s := range p.Stores {
		if host == "" || s.Host == host {
			n += s.Bytes
		}
	}
	return n
}

const film = `document.querySelector("video")`

func (b *browser) player() player {
	b.Helper()
	var p player
	if err := json.Unmarshal([]byte(ask[string](b, `JSON.stringify(`+film+`.player?.state ?? {})`)), &p); err != nil {
		b.Fatal(err)
	}
	return p
}

// watch opens a film's page and counts what a viewer would notice.
func (b *browser) watch(url string) {
	b.Helper()
	b.do(chromedp.Navigate(url))
	b.until(film + ` !== null && ` + film + `.player !== undefined`)
	b.until(`window.waits = 0, ` + film + `.addEventListener("waiting", () => { if (` + film + `.currentTime > 0 && !` + film + `.seeking) window.waits++; }), true`)
}

// played waits for the end of the film, fast.
func (b *browser) played() player {
	b.Helper()
	b.until(film + `.playbackRate = 2, ` + film + `.ended`)
	p := b.player()
	if p.Error != "" {
		b.Errorf("the player says %q", p.Error)
	}
	return p
}

// soakPlayer keeps what takes half a minute of two processors for make soak-lab.
// TestThePagesPlayAFilm reads from the stores, too.
func soakPlayer(t *testing.T) {
	t.Helper()
	need(t, "chromium")
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: set VSTACK_SOAK=1 (make soak-lab) to break stores under a page's player")
	}
}

// longFilm uploads a film that takes long enough to break something meanwhile.
func (s *scenario) longFilm() string {
	s.Helper()
	if _, built := web.Pages(); !built {
		s.Skip("SKIPPED: the pages are not built; make web builds them")
	}
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", clip(s.T, "20", "4"), "--title", "Read from the stores")
	return jobs.Items[0].Video.String()
}

// TestAPageReadsFromTheStores plays a film in Chromium as it comes: without a flag and without
// the cluster's authority. A host is killed meanwhile and comes back.
func TestAPageReadsFromTheStores(t *testing.T) {
	soakPlayer(t)
	s := newScenario(t)
	id := s.longFilm()
	page := s.liar(id, "")
	b := s.chromium()
	b.watch(page + "/watch/" + id)
	b.until(film + `.currentTime > 0.5`)
	s.step("it plays")
	gone := s.lab.Hosts[2]
	if err := gone.Kill(); err != nil {
		t.Fatal(err)
	}
	b.until(film + `.currentTime > 3`)
	s.step("it plays on without %s", gone.ID)
	if err := gone.Restart(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	b.until(`[...` + film + `.player.state.stores].filter(s => s.host === "` + string(gone.ID) + `").every(s => s.link === "quic")`)
	before := b.player().bytesOf(string(gone.ID))
	s.step("%s is open again", gone.ID)
	b.until(film + `.pause(), ` + film + `.currentTime = 90.3, true`)
	b.until(`!` + film + `.seeking && ` + film + `.readyState >= 2`)
	if at := ask[float64](b, film+`.currentTime`); at < 90.3 || at > 90.8 {
		t.Errorf("a seek to 90.3 s landed at %.2f s", at)
	}
	b.shot("returned")
	b.until(film + `.play(), true`)
	p := b.played()
	if p.Gateway > p.Useful/2 || p.Useful == 0 || p.bytesOf("") < p.Useful {
		t.Errorf("%v bytes were read, %v of them through the gateway", p.Useful, p.Gateway)
	}
	brought := map[string]bool{}
	for _, st := range p.Stores {
		brought[st.Host] = brought[st.Host] || st.Bytes > 0
	}
	if !brought["h1"] || !brought["h2"] {
		t.Errorf("brought by %v, want more than one host's", slices.Collect(maps.Keys(brought)))
	}
	if said := ask[string](b, `document.querySelector('[role="alert"]')?.textContent ?? ""`); said != "" || len(p.Liars) > 0 {
		t.Errorf("the page says %q", said)
	}
	if through := ask[string](b, `document.querySelector(".stats b").textContent`); !strings.HasPrefix(through, "WebTransport to the stores") {
		t.Errorf("the page says that it reads through %q", through)
	}
	if waits := ask[int](b, `window.waits`); waits > 0 {
		t.Logf("%d waits: is the machine starved?", waits)
	}
	t.Logf("%.1f MB, %.1f %% twice; of %s %.1f MB after it came back", p.Useful/1e6, 100*p.Extra/p.Useful, gone.ID, (p.bytesOf(string(gone.ID))-before)/1e6)
}

// TestAStoreThatLiesToAPageIsNamed has the door of a store send one wrong byte in each answer.
func TestAStoreThatLiesToAPageIsNamed(t *testing.T) {
	soakPlayer(t)
	s := newScenario(t)
	id := s.longFilm()
	page := s.liar(id, "h2")
	b := s.chromium()
	b.watch(page + "/watch/" + id)
	b.until(film + `.currentTime > 1`)
	b.until(film + `.currentTime = 92, true`)
	p := b.played()
	named := map[string]bool{}
	for _, l := range p.Liars {
		named[l.Host] = true
	}
	if !named["h2"] || len(named) != 1 {
		t.Errorf("named are %v, h2 lied", named)
	}
	if p.Gateway > p.Useful/2 || p.bytesOf("h1")+p.bytesOf("h3") < p.Useful/2 {
		t.Errorf("%v bytes through the gateway; brought by %+v", p.Gateway, p.Stores)
	}
	b.until(`[...document.querySelectorAll('.overlay [role="alert"]')].some(e => e.textContent.includes("h2"))`)
	b.shot("liar")
}

// liar serves the pages of a gateway on a loopback address, which browsers take for secure,
// with the doors of one host's stores replaced by those of liars; of none for "".
func (s *scenario) liar(id, host string) string {
	s.Helper()
	var lying map[vstack.StoreID]doors.Door
	if host != "" {
		lying = s.lyingDoors(host)
	}
	gateway := &url.URL{Scheme: "https", Host: s.lab.Hosts[0].Config.Gateway.Addr}
	s.until("every store has a door", func() bool {
		var list wire.List[doors.Door]
		return s.cluster.Get(s.Context(), gateway.Host, "/v1/webtransport", &list) == nil && len(list.Items) == 6
	})
	proxy := &httputil.ReverseProxy{
		Transport: s.cluster.Transport(),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(gateway)
			r.Out.Header.Del("Accept-Encoding") // answers are read here
		},
		ModifyResponse: func(r *http.Response) error {
			switch path := r.Request.URL.Path; {
			case len(lying) == 0:
			case strings.HasPrefix(path, "/watch/"):
				r.Header.Del("Content-Security-Policy") // it names the true doors
			case path == "/v1/webtransport", strings.HasPrefix(path, "/v1/player/"):
				return rewriteDoors(r, lying)
			}
			return nil
		},
	}
	srv := httptest.NewServer(proxy)
	s.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// rewriteDoors puts other doors into an answer.
func rewriteDoors(r *http.Response, lying map[vstack.StoreID]doors.Door) error {
	var body map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return err
	}
	for _, key := range []string{"items", "webtransport"} {
		if body[key] == nil {
			continue
		}
		var list []doors.Door
		if err := json.Unmarshal(body[key], &list); err != nil {
			return err
		}
		for i, d := range list {
			if l, ok := lying[d.Store]; ok {
				list[i] = l
			}
		}
		var err error
		if body[key], err = json.Marshal(list); err != nil {
			return err
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	r.Header.Set("Content-Length", strconv.Itoa(len(b)))
	return nil
}

// lyingDoors are doors before a host's stores that change a byte of each answer.
func (s *scenario) lyingDoors(host string) map[vstack.StoreID]doors.Door {
	s.Helper()
	out := map[vstack.StoreID]doors.Door{}
	subnet := loopback.Subnet(s.T)
	certs, err := door.OpenCerts(vfs.NewCrash(), "", nil)
	if err != nil {
		s.Fatal(err)
	}
	hashes, err := certs.Hashes()
	if err != nil {
		s.Fatal(err)
	}
	for i, st := range s.stores() {
		if string(st.Host) != host {
			continue
		}
		lie := &httputil.ReverseProxy{
			Transport: s.cluster.Transport(),
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: st.Addr}) },
			ModifyResponse: func(r *http.Response) error {
				b, err := io.ReadAll(r.Body)
				if err != nil || r.StatusCode >= 300 || len(b) == 0 {
					r.Body = io.NopCloser(bytes.NewReader(b))
					return err
				}
				b[len(b)/2] ^= 1
				r.Body = io.NopCloser(bytes.NewReader(b))
				return nil
			},
		}
		d, err := door.Listen(door.Config{Addr: fmt.Sprintf("%s.1:%d", subnet, 9081+i), Certs: certs, Chunk: lie, Fragment: lie, Gate: serve.NewGate(64)})
		if err != nil {
			s.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- d.Serve(ctx) }()
		s.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				s.Error(err)
			}
		})
		out[st.ID] = doors.Door{Store: st.ID, BrowserDoor: wire.BrowserDoor{Addr: d.Addr(), Hashes: hashes}}
	}
	return out
}
