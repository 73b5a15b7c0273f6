package datanode

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// allow says who may watch a video from now on.
func (m *metastore) allow(id vstack.VideoID, a vstack.Access) {
	m.change(func(index uint64) {
		v := m.videos[id]
		a.Index = index
		v.Video.Access, v.Video.Index = a, index
		m.videos[id], m.changed[id] = v, index
	})
}

func (m *metastore) sign(keys ...vstack.TokenKey) {
	m.change(func(index uint64) { m.keys = vstack.TokenKeys{Index: index, Items: keys} })
}

// guarded is a store with a private film of one chunk, one of the public, and one chunk of both.
type guarded struct {
	*cluster
	n                     *node
	film                  vstack.VideoID
	private, shared, open vstack.ChunkRef
	key                   ed25519.PrivateKey
	known                 vstack.TokenKey
}

func newGuarded(t *testing.T) *guarded { return newGuardedOf(t, nil) }

func newGuardedOf(t *testing.T, tune func(*Config)) *guarded {
	c := newClusterOf(t, []string{"h1"}, tune)
	c.place()
	g := &guarded{cluster: c, n: c.nodes[0], key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	both := random(3000)
	film, public := c.open(), c.open()
	g.film = film.Video
	g.private, g.shared = c.put(film, 1, random(5000), g.n), c.put(film, 2, both, g.n)
	g.open = c.put(public, 1, random(4000), g.n)
	again := c.put(public, 2, both, g.n)
	c.publish(film, g.private, g.shared)
	c.publish(public, g.open, again)
	g.known = vstack.TokenKey{ID: "k1", Public: []byte(g.key.Public().(ed25519.PublicKey))}
	c.meta.sign(g.known)
	c.meta.allow(g.film, vstack.Access{Visibility: vstack.VisibilityPrivate})
	view := g.n.server.follower
	waitFor(t, func() bool {
		_, private, err := view.Watched(g.private.ID)
		return err == nil && len(private) == 1 && view.Guarded() && len(view.Keys().Items) == 1 && time.Since(view.Fresh()) < viewAge
	})
	return g
}

func (g *guarded) token(change func(*watch.Token)) string {
	tok := watch.Token{Key: "k1", Video: g.film, Issued: time.Now().Add(-time.Minute), Expires: time.Now().Add(time.Hour)}
	if change != nil {
		change(&tok)
	}
	s, err := watch.Sign(g.key, tok)
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

// TestAPrivateChunkIsReadWithItsTokenAlone walks every route that anybody may ask by every
// protocol, with each kind of token.
func TestAPrivateChunkIsReadWithItsTokenAlone(t *testing.T) {
	g := newGuarded(t)
	wrong := g.wrong()
	absent := vstack.ChunkID{0xff}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		t.Run(proto, func(t *testing.T) {
			anybody, admin := g.http(t, proto, false), g.http(t, proto, true)
			for _, r := range Routes() {
				if r.Roles != 0 || r.Method != http.MethodGet {
					continue
				}
				path := strings.NewReplacer("{scheme}", "3+2", "{number}", "0", "{video}", g.film.String(), "{track}", "0", "{seq}", "1").Replace(r.Path)
				switch r.Heeds {
				case wire.HeedsNothing:
				case wire.HeedsCertificate:
					if resp, _ := g.n.getBy(anybody, path, map[string]string{watch.Header: g.token(nil)}); resp.StatusCode != http.StatusUnauthorized {
						t.Errorf("%s: strangers get %d", path, resp.StatusCode)
					}
					if resp, _ := g.n.getBy(admin, path, nil); resp.StatusCode == http.StatusUnauthorized {
						t.Errorf("%s: an administrator gets %d", path, resp.StatusCode)
					}
				case wire.HeedsToken:
					g.walk(t, anybody, admin, path, wrong, absent)
				default:
					t.Errorf("%s heeds %d, which this test does not know", r.Path, r.Heeds)
				}
			}
		})
	}
}

// wrong are tokens that nobody may read with.
func (g *guarded) wrong() map[string]string {
	g.t.Helper()
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	alien, err := watch.Sign(stranger, watch.Token{Key: "k1", Video: g.film, Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		g.t.Fatal(err)
	}
	parts := strings.Split(g.token(nil), ".")
	return map[string]string{
		"none": "", "nonsense": "a.b.c", "wrong key": alien,
		"wrong video": g.token(func(k *watch.Token) { k.Video = vstack.VideoID{9} }),
		"expired":     g.token(func(k *watch.Token) { k.Issued, k.Expires = time.Now().Add(-time.Hour), time.Now().Add(-time.Second) }),
		"not yet":     g.token(func(k *watch.Token) { k.NotBefore = time.Now().Add(time.Hour / 2) }),
		"alg none":    "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ." + parts[1] + ".",
		"HS256":       "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0." + parts[1] + "." + parts[2],
	}
}

// walk asks for chunks at one route.
func (g *guarded) walk(t *testing.T, anybody, admin *http.Client, path string, wrong map[string]string, absent vstack.ChunkID) {
	of := func(c vstack.ChunkID) string { return strings.Replace(path, "{sha256}", c.String(), 1) }
	for name, token := range wrong {
		missing, none := g.n.getBy(anybody, of(absent)+"?t="+token, nil)
		for _, at := range []string{of(g.private.ID) + "?t=" + token, "/t/" + token + of(g.private.ID)} {
			if token == "" && strings.HasPrefix(at, "/t/") {
				continue
			}
			resp, body := g.n.getBy(anybody, at, nil)
			same := strings.ReplaceAll(string(body), g.private.ID.String(), absent.String()) == string(none)
			if resp.StatusCode != http.StatusNotFound || !same || fmt.Sprint(keysOf(resp.Header)) != fmt.Sprint(keysOf(missing.Header)) {
				t.Errorf("%s, %s: %d %s %v, a chunk that is not here: %d %s %v", path, name, resp.StatusCode, body, keysOf(resp.Header), missing.StatusCode, none, keysOf(missing.Header))
			}
		}
		if resp, _ := g.n.getBy(anybody, of(g.private.ID), map[string]string{watch.Header: token, "If-None-Match": "*", "Range": "bytes=0-1"}); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s, %s: %d to a conditional request", path, name, resp.StatusCode)
		}
	}
	right := g.token(nil)
	for _, at := range []string{of(g.private.ID) + "?t=" + right, "/t/" + right + of(g.private.ID), of(g.private.ID) + "?leaves=fresh&t=" + right} {
		if resp, body := g.n.getBy(anybody, at, nil); resp.StatusCode != http.StatusOK || len(body) == 0 || resp.Header.Get("Cache-Control") != "private, no-store" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s with the right token: %d, %d bytes, %v", path, resp.StatusCode, len(body), resp.Header)
		}
	}
	for name, c := range map[string]vstack.ChunkRef{"of both": g.shared, "public": g.open} {
		if resp, _ := g.n.getBy(anybody, of(c.ID), nil); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: a chunk %s is answered with %d", path, name, resp.StatusCode)
		}
	}
	if resp, _ := g.n.getBy(admin, of(g.private.ID), nil); resp.StatusCode != http.StatusOK {
		t.Errorf("%s: an administrator gets %d", path, resp.StatusCode)
	}
}

// keysOf are the names of headers, but for those of the connection.
func keysOf(h http.Header) map[string]bool {
	out := map[string]bool{}
	for k := range h {
		out[k] = k != "Date"
	}
	return out
}

func TestATokenIsRevoked(t *testing.T) {
	g := newGuarded(t)
	anybody := g.http(t, "HTTP/1.1", false)
	token, path := g.token(nil), wire.PathChunks+g.private.ID.String()
	status := func() int {
		resp, _ := g.n.getBy(anybody, path, map[string]string{watch.Header: token})
		return resp.StatusCode
	}
	later := time.Now().Truncate(time.Second).Add(time.Second)
	for name, revoke := range map[string]func(){
		"by its video": func() { g.meta.allow(g.film, vstack.Access{Visibility: vstack.VisibilityPrivate, TokensFrom: later}) },
		"by its key": func() {
			key := g.known
			key.TokensFrom = later
			g.meta.sign(key)
		},
		"with its key": func() { g.meta.sign() },
	} {
		t.Run(name, func(t *testing.T) {
			g.meta.sign(g.known)
			g.meta.allow(g.film, vstack.Access{Visibility: vstack.VisibilityPrivate})
			waitFor(t, func() bool { return status() == http.StatusOK })
			revoke()
			waitFor(t, func() bool { return status() == http.StatusNotFound })
		})
	}
}

// TestAStoreThatIsCutOffReadsNoPrivateFilm: and strangers learn nothing by that either.
func TestAStoreThatIsCutOffReadsNoPrivateFilm(t *testing.T) {
	g := newGuarded(t)
	anybody, path := g.http(t, "HTTP/1.1", false), wire.PathChunks+g.private.ID.String()
	g.meta.set(func() { g.meta.down = true })
	g.n.server.guard.now = func() time.Time { return time.Now().Add(viewAge + time.Second) }
	resp, body := g.n.getBy(anybody, path, map[string]string{watch.Header: g.token(func(k *watch.Token) { k.Expires = time.Now().Add(2 * time.Hour) })})
	if resp.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("VIEW_STALE")) {
		t.Errorf("with the right token: %d %s", resp.StatusCode, body)
	}
	if resp, _ := g.n.getBy(anybody, path, nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("without: %d", resp.StatusCode)
	}
	if resp, _ := g.n.getBy(anybody, wire.PathChunks+g.open.ID.String(), nil); resp.StatusCode != http.StatusOK {
		t.Errorf("a public chunk: %d", resp.StatusCode)
	}
}

// TestADeletedPrivateFilmIsNobodys: its chunks lie on the disk for a while.
func TestADeletedPrivateFilmIsNobodys(t *testing.T) {
	g := newGuarded(t)
	anybody, path := g.http(t, "HTTP/1.1", false), wire.PathChunks+g.private.ID.String()
	g.meta.remove(g.film)
	view := g.n.server.follower
	waitFor(t, func() bool {
		_, private, err := view.Watched(g.private.ID)
		return err == nil && len(private) == 0
	})
	if resp, _ := g.n.getBy(anybody, path, map[string]string{watch.Header: g.token(nil)}); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted film's: %d", resp.StatusCode)
	}
	if resp, _ := g.n.getBy(anybody, wire.PathChunks+g.shared.ID.String(), nil); resp.StatusCode != http.StatusOK {
		t.Errorf("what a public one names, too: %d", resp.StatusCode)
	}
}
