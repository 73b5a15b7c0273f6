package clients

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway"
)

// hidden is the catalog of the same film, which is private there.
type hidden struct {
	*memory
	keys wire.JWKS
}

func (h *hidden) Video(_ context.Context, id vstack.VideoID) (vstack.Video, error) {
	if id != h.m.Video {
		return vstack.Video{}, vstack.ErrNotFound
	}
	return vstack.Video{ID: id, Title: "Film", Access: vstack.Access{Visibility: vstack.VisibilityPrivate, Index: 1}}, nil
}

func (h *hidden) Videos(ctx context.Context, _ metaclient.ListOptions) (wire.List[vstack.Video], error) {
	v, err := h.Video(ctx, h.m.Video)
	return wire.List[vstack.Video]{Items: []vstack.Video{v}}, err
}

func (h *hidden) Keys(context.Context) (wire.JWKS, error) { return h.keys, nil }

// carried are the ways of a token: before the path, and behind it.
var carried = []struct{ name, before, after string }{{"/t/TOKEN/", "/t/", ""}, {"?t=TOKEN", "", "?t="}}

// gaps are known not to play, and stand so in docs/security.md.
var gaps = map[string]string{"FFmpeg, DASH, ?t=TOKEN": "it does not follow the redirection for segments"}

// TestPlayersPlayAPrivateFilm gives a token to each player in both ways, and none in the end.
func TestPlayersPlayAPrivateFilm(t *testing.T) {
	public := theStand(t)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	token, err := watch.Sign(key, watch.Token{Key: "k1", Video: public.video, Issued: time.Now().Add(-time.Second), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	cat := &hidden{public.kept, wire.JWKS{Index: 1, Keys: []wire.JWK{{ID: "k1", X: wire.Base64URL(key.Public().(ed25519.PublicKey))}}}}
	g, err := gateway.New(gateway.Config{Catalog: cat, Chunks: public.kept})
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{file: public.file, video: public.video, kept: public.kept, tracks: public.tracks, results: map[string]chan map[string]string{}}
	srv := httptest.NewServer(s.routes(g.Handler()))
	t.Cleanup(func() {
		g.Stop()
		srv.Close()
		_ = g.Close() // nothing is left to be told
	})
	s.url = srv.URL
	verdict := func(name string, err error) {
		switch why, known := gaps[name]; {
		case err == nil:
			t.Logf("%s: plays", name)
		case known:
			t.Logf("OPEN: %s: %s", name, why)
		default:
			t.Errorf("%s: %v", name, err)
		}
	}
	want := s.hashes(t, s.file)
	for i, way := range carried {
		before, after := way.before, way.after
		if before != "" {
			before += token
		} else {
			after += token
		}
		base := before + "/play/" + s.video.String()
		for _, form := range forms {
			if !soak() && (i > 0 || form.name != "HLS") {
				continue // the quick form
			}
			url := s.url + base + form.path + after
			verdict("FFmpeg, "+form.name+", "+way.name, s.whole(t, url, want))
			if soak() {
				verdict("VLC, "+form.name+", "+way.name, s.vlc(t, url))
			}
		}
		if !soak() {
			continue
		}
		for _, p := range pagePlayers {
			if _, err := os.Stat(filepath.Join("node_modules", p.file)); err != nil {
				t.Logf("SKIPPED: %s is not fetched: npm ci in bench/clients", p.name)
				continue
			}
			found := s.browse(t, 0, p.id, url.Values{"base": {base}, "after": {after}, "through": {"1"}})
			var err error
			if found["to the end"] != "yes" {
				err = fmt.Errorf("%s %s", found["to the end"], found["error"])
			}
			verdict(p.name+" "+found["version"]+", "+way.name, err)
		}
	}
	if _, said, err := run(t, "ffmpeg", "-v", "error", "-nostdin", "-i", s.url+"/play/"+s.video.String()+"/master.m3u8", "-f", "null", "-"); err == nil {
		t.Errorf("it plays without a token: %s", said)
	}
}

// whole wants FFmpeg to decode every frame of the source.
func (s *stand) whole(t *testing.T, url string, want []string) error {
	out, said, err := run(t, "ffmpeg", "-v", "error", "-nostdin", "-i", url, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	if err != nil {
		return fmt.Errorf("%w: %.300s", err, said)
	}
	if got := sums(out); !slices.Equal(got, want) {
		return fmt.Errorf("%d frames, which are not the source's %d: %.300s", len(got), len(want), said)
	}
	return nil
}

// vlc wants VLC to come to the end.
func (s *stand) vlc(t *testing.T, url string) error {
	at := slices.IndexFunc(programs, func(p program) bool { return p.name == "VLC" })
	p := programs[at]
	if _, err := exec.LookPath(p.program); err != nil {
		t.Logf("SKIPPED: %s is not installed", p.program)
		return nil
	}
	out, said, err := run(t, p.program, p.end(url)...)
	if err == nil {
		err = p.ended(string(out), said)
	}
	return err
}
