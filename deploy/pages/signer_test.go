package pages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// ring is a catalog's keys.
type ring struct{ keys []wire.JWK }

func (r *ring) Keys(context.Context) (wire.JWKS, error) { return wire.JWKS{Keys: r.keys}, nil }

func (r *ring) AddKey(_ context.Context, req wire.TokenKeyRequest) error {
	r.keys = append(r.keys, wire.JWK{ID: req.ID, X: req.Public, TokensFrom: time.Now().Unix()})
	return nil
}

func (r *ring) DropKey(_ context.Context, id string) error {
	n := len(r.keys)
	if r.keys = slices.DeleteFunc(r.keys, func(k wire.JWK) bool { return k.ID == id }); len(r.keys) == n {
		return fmt.Errorf("key %s: %w", id, vstack.ErrNotFound)
	}
	return nil
}

func TestAConsoleSignsUnderAKeyThatGoesWithIt(t *testing.T) {
	old := time.Now().Add(-signerKept - time.Hour).Unix()
	r := &ring{keys: []wire.JWK{{ID: signerPrefix + "killed", TokensFrom: old}, {ID: signerPrefix + "runs", TokensFrom: time.Now().Unix()}, {ID: "k1", TokensFrom: old}}}
	s := newSigner(r)
	if len(r.keys) != 3 {
		t.Error("a key is there before one is wanted")
	}
	film := vstack.VideoID{1}
	var j watch.Judge
	sign := func() {
		t.Helper()
		now := time.Now()
		token, err := s.Sign(t.Context(), watch.Token{Video: film, Issued: now, Expires: now.Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		keys, _ := r.Keys(t.Context())
		if got, err := j.Read(watch.Request{Token: token, Keys: keys.TokenKeys(), Now: now}); err != nil || got.Video != film {
			t.Errorf("%+v, %v", got, err)
		}
	}
	sign()
	sign()
	names := func() (out []string) {
		for _, k := range r.keys {
			out = append(out, k.ID)
		}
		return out
	}
	if got := names(); len(got) != 3 || got[0] != signerPrefix+"runs" || got[1] != "k1" {
		t.Errorf("keys are %q", got)
	}
	s.made = s.made.Add(-signerLife - time.Second)
	sign()
	if got := names(); len(got) != 4 {
		t.Errorf("after its life, keys are %q", got)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names(); len(got) != 2 {
		t.Errorf("at the end, keys are %q", got)
	}
}

// A playback token in a path opens nothing of the console itself.
func TestATokenInThePathIsNoWayAroundTheGuard(t *testing.T) {
	s, _ := open(t)
	for path, want := range map[string]int{
		"/t/x/v1/videos": http.StatusUnauthorized, "/t/x/metrics": http.StatusUnauthorized, "/t/x/play/f/master.m3u8": http.StatusOK, "/v1/videos?t=x": http.StatusUnauthorized,
	} {
		resp, err := http.Get("http://" + s.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}
