package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/doors"
)

// withDoors is a catalog whose stores say where browsers read.
type withDoors struct {
	catalogOf
	nodes func() ([]wire.Node, error)
}

func (w withDoors) Nodes(context.Context) ([]wire.Node, error) { return w.nodes() }

func door(id byte, state vstack.StoreState, addr string) wire.NodeStore {
	s := wire.NodeStore{Store: vstack.Store{ID: vstack.StoreID{id}, Host: "h1", State: state}, Report: &wire.StoreReport{}}
	if addr != "" {
		s.Report.Browser = &wire.BrowserDoor{Addr: addr, Hashes: []string{"aGFzaA=="}}
	}
	return s
}

func TestPagesLearnWhereStoresCanBeRead(t *testing.T) {
	m, c := filmOf(100)
	nodes := []wire.Node{{Host: "h1", Stores: []wire.NodeStore{
		door(1, vstack.StoreUp, "films.example:9081"), door(2, vstack.StoreSuspect, "[2001:db8::1]:9082"), door(3, vstack.StoreDown, "10.0.0.3:9083"),
		door(4, vstack.StoreUp, ""), door(5, vstack.StoreUp, "evil.example; script-src *:1"), door(6, vstack.StoreUp, "a b:9081"),
	}}}
	_, srv := serve(t, m, c, func(cfg *Config) {
		cfg.Catalog = withDoors{catalogOf{m}, func() ([]wire.Node, error) { return nodes, nil }}
	})
	status, body, h := get(t, srv.URL+"/v1/player/"+m.Video.String())
	var data PlayerData
	if err := json.Unmarshal(body, &data); err != nil || status != 200 {
		t.Fatalf("status %d, %v", status, err)
	}
	if len(data.WebTransport) != 2 || data.WebTransport[0].Store != (vstack.StoreID{2}) || data.WebTransport[1].Addr != "films.example:9081" || data.WebTransport[1].Hashes[0] != "aGFzaA==" {
		t.Errorf("doors %+v", data.WebTransport)
	}
	if h.Get("Content-Security-Policy") != "" {
		t.Error("data has a policy")
	}
	_, _, h = get(t, srv.URL+"/watch/"+m.Video.String())
	policy := h.Get("Content-Security-Policy")
	if !strings.HasSuffix(policy, "connect-src 'self' https://[2001:db8::1]:9082 https://films.example:9081") {
		t.Errorf("the page's policy is %q", policy)
	}
	for _, query := range []string{"", "?known=true"} {
		_, body, _ = get(t, srv.URL+"/v1/webtransport"+query)
		var list wire.List[doors.Door]
		if err := json.Unmarshal(body, &list); err != nil || len(list.Items) != 2 {
			t.Errorf("%s%s: %v", query, body, err)
		}
	}
	if status, _, _ := get(t, srv.URL+"/v1/webtransport?known=perhaps"); status != 400 {
		t.Errorf("known=perhaps: status %d", status)
	}
}

// meeting is a catalog that answers nobody before everything is asked for.
type meeting struct {
	catalogOf
	placement, nodes chan struct{}
}

var errAlone = errors.New("nothing else was asked for meanwhile")

func (m meeting) meet(come, other chan struct{}) error {
	select {
	case <-come:
	default:
		close(come)
	}
	select {
	case <-other:
		return nil
	case <-time.After(10 * time.Second):
		return errAlone
	}
}

func (m meeting) RefreshPlacement(ctx context.Context) (*vstack.PlacementMap, error) {
	if err := m.meet(m.placement, m.nodes); err != nil {
		return nil, err
	}
	return m.catalogOf.RefreshPlacement(ctx)
}

func (m meeting) Nodes(context.Context) ([]wire.Node, error) {
	return []wire.Node{{Host: "h1", Stores: []wire.NodeStore{door(1, vstack.StoreUp, "h1:9081")}}}, m.meet(m.nodes, m.placement)
}

// TestAPlayersQuestionsTravelTogether holds the answer that a first picture waits for to one way to
// the catalog and back.
func TestAPlayersQuestionsTravelTogether(t *testing.T) {
	m, c := filmOf(100)
	_, srv := serve(t, m, c, func(cfg *Config) {
		cfg.Catalog = meeting{catalogOf{m}, make(chan struct{}), make(chan struct{})}
	})
	status, body, _ := get(t, srv.URL+"/v1/player/"+m.Video.String())
	var data PlayerData
	if err := json.Unmarshal(body, &data); err != nil || status != 200 || len(data.WebTransport) != 1 || data.Placement == nil || data.Manifest == nil {
		t.Errorf("status %d, %v: %.300s", status, err, body)
	}
	if status, _, _ := get(t, srv.URL+"/v1/player/"+vstack.VideoID{9}.String()); status != 404 {
		t.Errorf("of a film that there is not: status %d", status)
	}
}

// TestAPlayerIsSentItsInitChunks: of pictures and sounds, as they are stored.
func TestAPlayerIsSentItsInitChunks(t *testing.T) {
	m, c := filmOf(100)
	_, srv := serve(t, m, c, nil)
	_, body, _ := get(t, srv.URL+"/v1/player/"+m.Video.String())
	var data PlayerData
	if err := json.Unmarshal(body, &data); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, track := range m.Tracks {
		if (track.Kind == vstack.TrackVideo || track.Kind == vstack.TrackAudio) && !track.Init.ID.IsZero() {
			want++
			if got := vstack.ChunkIDOf(data.Inits[track.Number]); got != track.Init.ID {
				t.Errorf("track %d: sent is %s, its init chunk is %s", track.Number, got, track.Init.ID)
			}
		}
	}
	if want == 0 || len(data.Inits) != want {
		t.Errorf("%d init chunks, want %d", len(data.Inits), want)
	}
}
