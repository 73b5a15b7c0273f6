package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/watching"
)

// guarded is a catalog of a private film, and of keys.
type guarded struct {
	catalogOf
	mu     sync.Mutex
	access vstack.Access
	keys   wire.JWKS
}

func (g *guarded) Video(_ context.Context, id vstack.VideoID) (vstack.Video, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id != g.m.Video {
		return vstack.Video{}, fmt.Errorf("video %s: %w", id, vstack.ErrNotFound)
	}
	return vstack.Video{ID: id, Title: "Secret", State: vstack.VideoPublished, Access: g.access}, nil
}

func (g *guarded) Videos(ctx context.Context, _ metaclient.ListOptions) (wire.List[vstack.Video], error) {
	v, err := g.Video(ctx, g.m.Video)
	return wire.List[vstack.Video]{Items: []vstack.Video{v}}, err
}

func (g *guarded) Redundancy(context.Context) (wire.Redundancy, error) {
	return wire.Redundancy{Waiting: []wire.WaitingVideo{{Video: g.m.Video}}}, nil
}

func (g *guarded) Keys(context.Context) (wire.JWKS, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.keys, nil
}

var signing = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func tokenFor(t *testing.T, key ed25519.PrivateKey, change func(*watch.Token)) string {
	t.Helper()
	tok := watch.Token{Key: "k1", Video: vstack.VideoID{1}, Issued: time.Now().Add(-time.Minute), Expires: time.Now().Add(time.Hour)}
	if change != nil {
		change(&tok)
	}
	s, err := watch.Sign(key, tok)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serveGuarded(t *testing.T, log *bytes.Buffer) (*guarded, *httptest.Server) {
	m, c := filmOf(5000, 5000, 5000)
	cat := &guarded{catalogOf: catalogOf{m}, access: vstack.Access{Visibility: vstack.VisibilityPrivate, Index: 5},
		keys: wire.JWKS{Index: 4, Keys: []wire.JWK{{ID: "k1", X: wire.Base64URL(signing.Public().(ed25519.PublicKey))}}}}
	_, srv := serve(t, m, c, func(cfg *Config) {
		cfg.Catalog = cat
		if log != nil {
			cfg.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
	})
	return cat, srv
}

// TestAPrivateFilmIsPlayedWithItsTokenAlone walks every route of the table.
func TestAPrivateFilmIsPlayedWithItsTokenAlone(t *testing.T) {
	var log bytes.Buffer
	cat, srv := serveGuarded(t, &log)
	id, other := cat.m.Video.String(), vstack.VideoID{9}.String()
	right := tokenFor(t, signing, nil)
	parts := strings.Split(right, ".")
	wrong := map[string]string{
		"none": "", "nonsense": "a.b.c", "wrong key": tokenFor(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)), nil),
		"wrong video": tokenFor(t, signing, func(k *watch.Token) { k.Video = vstack.VideoID{9} }),
		"expired":     tokenFor(t, signing, func(k *watch.Token) { k.Issued, k.Expires = time.Now().Add(-time.Hour), time.Now().Add(-time.Second) }),
		"not yet":     tokenFor(t, signing, func(k *watch.Token) { k.NotBefore = time.Now().Add(time.Hour / 2) }),
		"alg none":    "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ." + parts[1] + ".",
		"HS256":       "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0." + parts[1] + "." + parts[2],
	}
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, r := range Routes() {
		at := strings.NewReplacer("{track}/{segment}", "1/1000.m4s", "/{track}/", "/1/", "{track}", "1.mp4", "{name}", "en.vtt", "{id}", "none").Replace(r.Path)
		switch r.Heeds {
		case wire.HeedsNothing:
		case wire.HeedsListing:
			if path.Base(at) == "events" {
				continue // below
			}
			if status, _, body := ask(t, client, srv.URL+at); strings.Contains(body, id) || strings.Contains(body, "Secret") {
				t.Errorf("%s: %d %s names it", at, status, body)
			}
		case wire.HeedsToken:
			of := func(video string) string { return strings.Replace(at, "{video}", video, 1) }
			for name, token := range wrong {
				none, _, absent := ask(t, client, srv.URL+of(other)+"?t="+token)
				status, h, body := ask(t, client, srv.URL+of(id)+"?t="+token)
				if status != http.StatusNotFound || status != none || strings.ReplaceAll(body, id, other) != absent {
					t.Errorf("%s, %s: %d %s %v, a film that there is not: %d %s", at, name, status, body, h, none, absent)
				}
				if token != "" {
					if status, _, body := ask(t, client, srv.URL+"/t/"+token+of(id)); status != http.StatusNotFound {
						t.Errorf("/t/…%s, %s: %d %s", at, name, status, body)
					}
				}
			}
			// What the film does not have is told to who may watch it, in other words.
			status, h, body := ask(t, client, srv.URL+"/t/"+right+of(id))
			if body == "" && status != http.StatusOK || strings.Contains(body, `"video `+id+`: not found"`) {
				t.Errorf("%s with the right token: %d %s", at, status, body)
			}
			if status == http.StatusOK && (h.Get("Cache-Control") != "private, no-store" || h.Get("Referrer-Policy") != "no-referrer") {
				t.Errorf("%s: %v", at, h)
			}
			if strings.Contains(body, "http://") || strings.Contains(body, "https://") {
				if path.Ext(at) == ".m3u8" {
					t.Errorf("%s leads out of its own path: %s", at, body)
				}
			}
		default:
			t.Errorf("%s heeds %d, which this test does not know", r.Path, r.Heeds)
		}
	}
	if strings.Contains(log.String(), parts[2]) {
		t.Error("a token is in the log")
	}
}

func ask(t *testing.T, client *http.Client, at string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// TestPlaylistsLeadOnWithTheToken follows what a player follows.
func TestPlaylistsLeadOnWithTheToken(t *testing.T) {
	cat, srv := serveGuarded(t, nil)
	token := tokenFor(t, signing, nil)
	for _, start := range []string{"/play/" + cat.m.Video.String() + "/master.m3u8?t=" + token, "/t/" + token + "/play/" + cat.m.Video.String() + "/master.m3u8"} {
		at, err := url.Parse(srv.URL + start)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // master, media, segment
			resp, err := srv.Client().Get(at.String())
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || len(b) == 0 {
				t.Fatalf("%s: %d %s", at, resp.StatusCode, b)
			}
			lines := strings.Fields(strings.TrimSpace(string(b)))
			for _, l := range lines {
				if !strings.HasPrefix(l, "#") && (strings.HasSuffix(l, ".m3u8") || strings.HasSuffix(l, ".m4s")) {
					at = resp.Request.URL.ResolveReference(&url.URL{Path: l})
					break
				}
			}
		}
		if path.Ext(at.Path) != ".m4s" {
			t.Errorf("it led to %s", at)
		}
	}
}

// TestAFilmThatBecomesPrivateIsGone: also where its manifest and chunks are in memory.
func TestAFilmThatBecomesPrivateIsGone(t *testing.T) {
	cat, srv := serveGuarded(t, nil)
	set := func(a vstack.Access) { cat.mu.Lock(); cat.access = a; cat.mu.Unlock() }
	at := srv.URL + "/play/" + cat.m.Video.String() + "/1/1000.m4s"
	set(vstack.Access{})
	wait := func(want int, at string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if status, _, _ := ask(t, srv.Client(), at); status == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: not %d within a minute", at, want)
			}
		}
	}
	wait(http.StatusOK, at)
	set(vstack.Access{Visibility: vstack.VisibilityPrivate, Index: 7})
	wait(http.StatusNotFound, at)
	token := tokenFor(t, signing, nil)
	wait(http.StatusOK, at+"?t="+token)
	set(vstack.Access{Visibility: vstack.VisibilityPrivate, Index: 8, TokensFrom: time.Now()})
	wait(http.StatusNotFound, at+"?t="+token)
}

// signer signs as a console does.
type signer struct{ t *testing.T }

func (s signer) Sign(_ context.Context, tok watch.Token) (string, error) {
	return tokenFor(s.t, signing, func(k *watch.Token) { tok.Key = k.Key; *k = tok }), nil
}

// TestWhoIsInsideSeesPrivateFilms: lists have them, they play, and there is a token for stores.
func TestWhoIsInsideSeesPrivateFilms(t *testing.T) {
	m, c := filmOf(5000, 5000, 5000)
	cat := &guarded{catalogOf: catalogOf{m}, access: vstack.Access{Visibility: vstack.VisibilityPrivate, Index: 5},
		keys: wire.JWKS{Index: 4, Keys: []wire.JWK{{ID: "k1", X: wire.Base64URL(signing.Public().(ed25519.PublicKey))}}}}
	g, outside := serve(t, m, c, func(cfg *Config) { cfg.Catalog, cfg.Signer, cfg.Inside = cat, signer{t}, true })
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.Handler().ServeHTTP(w, r.WithContext(watching.Inside(r.Context())))
	}))
	t.Cleanup(inside.Close)
	id := m.Video.String()
	if status, _, body := ask(t, inside.Client(), inside.URL+"/v1/videos"); status != http.StatusOK || !strings.Contains(body, id) {
		t.Errorf("the list: %d %s", status, body)
	}
	for _, path := range []string{"/play/" + id + "/master.m3u8", "/play/" + id + "/1/1000.m4s"} {
		status, h, body := ask(t, inside.Client(), inside.URL+path)
		if status != http.StatusOK || h.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s: %d %v %.100s", path, status, h, body)
		}
		if status, _, _ := ask(t, outside.Client(), outside.URL+path); status != http.StatusNotFound {
			t.Errorf("%s from outside: %d", path, status)
		}
	}
	var signed watching.Signed
	for _, path := range []string{"/v1/player/" + id, "/v1/player/" + id + "/token", "/v1/player/" + id + "/token?life=3600"} {
		_, _, body := ask(t, inside.Client(), inside.URL+path)
		if err := json.Unmarshal([]byte(body), &signed); err != nil || signed.Token == "" || time.Until(signed.Expires) <= 0 {
			t.Fatalf("%s: %+v, %v in %.200s", path, signed, err, body)
		}
		if status, _, _ := ask(t, outside.Client(), outside.URL+"/t/"+signed.Token+"/play/"+id+"/master.m3u8"); status != http.StatusOK {
			t.Errorf("%s: its token plays with %d", path, status)
		}
		if status, _, body := ask(t, outside.Client(), outside.URL+path); status != http.StatusNotFound {
			t.Errorf("%s from outside: %d %s", path, status, body)
		}
	}
	if left := time.Until(signed.Expires); left < 50*time.Minute || left > time.Hour {
		t.Errorf("a token of an hour is good for %s", left)
	}
	// Who has a token of its own goes on with it: nobody prolongs one by asking here.
	_, _, body := ask(t, outside.Client(), outside.URL+"/t/"+signed.Token+"/v1/player/"+id+"/token")
	if signed = (watching.Signed{}); json.Unmarshal([]byte(body), &signed) != nil || signed != (watching.Signed{}) {
		t.Errorf("a viewer with a token is given %s", body)
	}
	for _, life := range []string{"0", "-1", "43201", "9999999999999999999", "x"} {
		if status, _, _ := ask(t, inside.Client(), inside.URL+"/v1/player/"+id+"/token?life="+life); status != http.StatusBadRequest {
			t.Errorf("life=%s: %d", life, status)
		}
	}
}
