package drill

import (
	"testing"

	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
)

func TestWhoLeaves(t *testing.T) {
	for name, tc := range map[string]struct {
		leader     int
		outside    []int // have left already
		turn, want int
	}{
		"first the leader":              {1, nil, 0, 1},
		"then another":                  {0, []int{1}, 1, 2},
		"the next is no leader":         {2, []int{1}, 1, 0},
		"a leader that has just joined": {4, nil, 0, 0},
		"and then too":                  {4, []int{0}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			for _, id := range []vstack.HostID{"h1", "h2", "h3", "h4", "h5"} {
				s.hosts = append(s.hosts, &labHost{process: &lab.Host{ID: id}})
			}
			for _, i := range tc.outside {
				s.hosts[i].(*labHost).process.Outside = true
			}
			joiners := []*labHost{s.hosts[3].(*labHost), s.hosts[4].(*labHost)}
			if got := s.leaver(joiners, s.hosts[tc.leader], tc.turn); got != s.hosts[tc.want] {
				t.Errorf("%s leaves, want %s", got.ID(), s.hosts[tc.want].ID())
			}
		})
	}
}

func TestALabGrowsByTheNextAddress(t *testing.T) {
	p, _ := placed(t, nothing)
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i, want := range []struct{ id, api string }{{"h4", "127.0.8.4:8080"}, {"h5", "127.0.8.5:8080"}} {
		h, err := p.grow()
		if err != nil {
			t.Fatal(err)
		}
		api, err := h.api()
		if err != nil || api != want.api || string(h.ID()) != want.id || !h.process.Outside || h.index != 3+i {
			t.Errorf("%s at %s, %v; want %s at %s", h.ID(), api, err, want.id, want.api)
		}
	}
	if len(p.Hosts()) != 5 {
		t.Errorf("%d hosts", len(p.Hosts()))
	}
	if _, err := (&labHost{process: func() *lab.Host {
		h, err := p.lab.Add(lab.HostSpec{ID: "h6", Addr: "127.0.8.6"}, false)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}()}).api(); err == nil {
		t.Error("a host without a metastore has an API")
	}
}
