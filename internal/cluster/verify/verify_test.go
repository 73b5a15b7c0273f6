package verify

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Real hosts are asked in cmd/vstack; here are the answers that they should not give.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// against makes a Verifier that talks to one handler.
func against(t *testing.T, h http.HandlerFunc) (v *Verifier, addr string) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	conf := srv.Client().Transport.(*http.Transport).TLSClientConfig
	v = &Verifier{Web: httpclient.New(httpclient.Config{TLS: conf, IdleConns: Parallel})}
	t.Cleanup(v.Web.Close)
	return v, strings.TrimPrefix(srv.URL, "https://")
}

func TestCopyAt(t *testing.T) {
	good := []byte("sixteen bytes ok")
	ref := vstack.ChunkRef{ID: vstack.ChunkIDOf(good), Size: uint32(len(good))}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		deep   bool
		want   error
	}{
		"the right bytes":                 {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good) }, true, nil},
		"wrong bytes of the right length": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.ToUpper(good)) }, true, vstack.ErrHashMismatch},
		"a wrong length":                  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good[:7]) }, false, vstack.ErrCorrupt},
		"no such chunk":                   {func(w http.ResponseWriter, _ *http.Request) { wire.WriteError(w, vstack.ErrNotFound) }, true, vstack.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			c, addr := against(t, tc.answer)
			if _, err := c.copyAt(t.Context(), addr, ref, tc.deep); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestTallyCountsChunksWithoutAGoodCopy(t *testing.T) {
	a, b := vstack.StoreID{1}, vstack.StoreID{2}
	slots := []wire.SlotPlacement{{Holders: []vstack.StoreID{a, b}}, {Holders: []vstack.StoreID{a, b}}}
	r := Report{}
	r.tally(slots, &vstack.PlacementMap{}, [][]error{{nil, vstack.ErrNotFound}, {vstack.ErrCorrupt, vstack.ErrUnavailable}})
	if r.Good != 1 || r.Unreadable != 1 || len(r.Bad) != 3 || !cmp.Equal(r.ByCopies, []int{1, 1, 0, 0}) {
		t.Errorf("got %+v", r)
	}
}
