package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/doors"
)

// told is what testdata/probe.js says of the page that it stands beside.
type told struct {
	At, Frames, Dropped    float64
	Seeking, Ended         bool
	Transport, Secure      bool
	Ready, Waits           int
	Failed, Through, Alert string
	Agent                  string
	Player                 player
}

// order is what the probe does next.
type order struct {
	Pause bool     `json:"pause,omitempty"`
	Seek  *float64 `json:"seek,omitempty"`
	Rate  float64  `json:"rate,omitempty"`
}

// onlooker serves the pages of a gateway on a loopback address, which browsers take for secure, with
// a script of its own beside them.
type onlooker struct {
	*scenario
	url string

	mu   sync.Mutex // guards both
	last told
	next order
}

func (s *scenario) lookedAt() *onlooker {
	s.Helper()
	gateway := &url.URL{Scheme: "https", Host: s.lab.Hosts[0].Config.Gateway.Addr}
	s.until("every store has a door", func() bool {
		var list wire.List[doors.Door]
		return s.cluster.Get(s.Context(), gateway.Host, "/v1/webtransport", &list) == nil && len(list.Items) == 6
	})
	p := &onlooker{scenario: s}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /probe/probe.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/probe.js") })
	mux.HandleFunc("POST /probe/told", p.hear)
	mux.Handle("/", &httputil.ReverseProxy{
		Transport: s.cluster.Transport(),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(gateway)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
				return nil
			}
			b, err := io.ReadAll(r.Body)
			b = bytes.Replace(b, []byte("</head>"), []byte(`<script type="module" src="/probe/probe.js"></script></head>`), 1)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			r.Header.Set("Content-Length", strconv.Itoa(len(b)))
			return err
		},
	})
	srv := httptest.NewServer(mux)
	s.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	p.url = srv.URL
	return p
}

func (p *onlooker) hear(w http.ResponseWriter, r *http.Request) {
	var t told
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&t); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	next := p.next
	p.last, p.next = t, order{}
	p.mu.Unlock()
	_ = json.NewEncoder(w).Encode(next) // a browser that is gone
}

// said is what was heard last.
func (p *onlooker) said() told {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// order has the probe do something with its next word.
func (p *onlooker) order(o order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.last = o, told{} // what was heard before does not count
}

// untilSaid waits for something that the page says.
func (p *onlooker) untilSaid(what string, good func(told) bool) told {
	p.Helper()
	defer func() {
		if p.Failed() {
			p.Logf("the page said last: %+v", p.said())
		}
	}()
	p.until(what, func() bool { return p.said().Agent != "" && good(p.said()) })
	return p.said()
}

// firefox opens an address in a Firefox as it comes: a new profile, in which only questions of a
// first start are answered.
func (p *onlooker) firefox(path string) {
	p.Helper()
	profile := p.TempDir()
	prefs := `user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
`
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600); err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "firefox-esr", "--headless", "--no-remote", "--profile", profile, p.url+path)
	c.Env = append(os.Environ(), "HOME="+profile)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a browser is many processes
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	if err := c.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() {
		cancel()
		_ = c.Wait() // it was killed
	})
}

// TestFirefoxReadsFromTheStores plays a film in Firefox as it comes: without a flag and without
// the cluster's authority. A host is killed meanwhile and comes back.
func TestFirefoxReadsFromTheStores(t *testing.T) {
	soakPlayer(t)
	need(t, "firefox-esr")
	s := newScenario(t)
	id := s.longFilm()
	p := s.lookedAt()
	p.firefox("/watch/" + id)
	began := time.Now()
	first := p.untilSaid("it plays", func(t told) bool { return t.At > 0.5 })
	s.step("%s: WebTransport %v, secure %v, first picture after %.2f s", first.Agent, first.Transport, first.Secure, first.Player.FirstPicture)
	gone := s.lab.Hosts[2]
	if err := gone.Kill(); err != nil {
		t.Fatal(err)
	}
	p.untilSaid("it plays on without a host", func(t told) bool { return t.At > 5 })
	s.step("it plays on without %s", gone.ID)
	if err := gone.Restart(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	back := p.untilSaid("the host's stores are open again", func(t told) bool {
		open := 0
		for _, st := range t.Player.Stores {
			if st.Host == string(gone.ID) && st.Link == "quic" {
				open++
			}
		}
		return open == 2
	})
	to, asked := 90.3, time.Now()
	p.order(order{Pause: true, Seek: &to})
	landed := p.untilSaid("a seek lands", func(t told) bool { return t.At >= to && !t.Seeking && t.Ready >= 2 })
	s.step("a seek to %.1f s took %.2f s", to, time.Since(asked).Seconds())
	if landed.At > to+0.5 {
		t.Errorf("a seek to %.1f s landed at %.2f s", to, landed.At)
	}
	p.order(order{Rate: 2})
	end := p.untilSaid("the end", func(t told) bool { return t.Ended })
	if end.Player.Error != "" || end.Failed != "" || end.Alert != "" || len(end.Player.Liars) > 0 {
		t.Errorf("the page says %q %q %q", end.Player.Error, end.Failed, end.Alert)
	}
	if !strings.HasPrefix(end.Through, "WebTransport to the stores") || end.Player.Gateway > end.Player.Useful/2 || end.Player.bytesOf("") < end.Player.Useful {
		t.Errorf("read through %q: %v bytes, %v of them by the gateway", end.Through, end.Player.Useful, end.Player.Gateway)
	}
	t.Logf("%.0f s in all: %.1f MB verified, %.1f %% twice, %.1f MB through the gateway; by host %.1f, %.1f, %.1f MB, of %s %.1f MB after it came back; %.0f frames, %.0f dropped, %d waits",
		time.Since(began).Seconds(), end.Player.Useful/1e6, 100*end.Player.Extra/end.Player.Useful, end.Player.Gateway/1e6, end.Player.bytesOf("h1")/1e6, end.Player.bytesOf("h2")/1e6, end.Player.bytesOf("h3")/1e6,
		gone.ID, (end.Player.bytesOf(string(gone.ID))-back.Player.bytesOf(string(gone.ID)))/1e6, end.Frames, end.Dropped, end.Waits)
}
