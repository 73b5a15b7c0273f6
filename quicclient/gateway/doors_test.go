package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

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
	_, body, _ = get(t, srv.URL+"/v1/webtransport")
	var list wire.List[doors.Door]
	if err := json.Unmarshal(body, &list); err != nil || len(list.Items) != 2 {
		t.Errorf("%s: %v", body, err)
	}
}
