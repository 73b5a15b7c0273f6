package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// candidate is a cluster of one member, and a process that shall join it. What it says of
// itself follows stages, one for each time it is asked to be added; it is added at the last.
type candidate struct {
	stages []wire.RaftPeer
	asked  int
	known  []wire.RaftMember
	api    string
}

func (c *candidate) now() wire.RaftPeer {
	p := c.stages[min(max(c.asked-1, 0), len(c.stages)-1)]
	p.ID, p.Raft, p.API, p.Instance = "d", "d:7080", c.api, "i"
	return p
}

func (c *candidate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var out any
	switch r.Method + " " + r.URL.Path {
	case "POST /v1/raft/peers/d":
		c.asked++
		if c.asked < len(c.stages) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			out = wire.Problem{Status: http.StatusBadRequest, Code: vstack.ErrInvalid.Code(), Detail: "it is not ready"}
			break
		}
		out = c.now()
	case "GET /v1/raft/self":
		if c.now().Standing == "" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		out = c.now()
	case "GET /v1/raft/members":
		out = wire.RaftMembers{Items: c.known}
	default:
		voter := c.now()
		voter.Voter = true
		out = wire.RaftStatus{Leader: "a", Peers: []wire.RaftPeer{voter}}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func TestAMemberIsWaitedForWhereTimeBringsIt(t *testing.T) {
	is := func(standing string) wire.RaftPeer { return wire.RaftPeer{Standing: standing} }
	for name, tc := range map[string]struct {
		stages []wire.RaftPeer
		known  []wire.RaftMember
		said   string
		err    error
	}{
		"its process comes":                         {[]wire.RaftPeer{is(""), is(""), is("joining")}, nil, "does not answer at", nil},
		"it looks for its cluster":                  {[]wire.RaftPeer{is("forming"), is("joining")}, nil, "looks for its cluster", nil},
		"its removal is news to it":                 {[]wire.RaftPeer{is("refused"), is("joining")}, nil, "has not heard yet that it was removed", nil},
		"its predecessor is to be removed first":    {[]wire.RaftPeer{is("refused"), is("joining")}, []wire.RaftMember{{ID: "d"}}, "", vstack.ErrInvalid},
		"its directory is to be emptied first":      {[]wire.RaftPeer{is("removed"), is("joining")}, nil, "", vstack.ErrInvalid},
		"it never comes, and the time is over then": {[]wire.RaftPeer{is(""), is(""), is(""), is(""), is(""), is(""), is(""), is(""), is("joining")}, nil, "does not answer", vstack.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			cand := &candidate{stages: tc.stages, known: tc.known}
			c, addr := against(t, cand.ServeHTTP)
			cand.api = addr
			srv := httptest.NewTLSServer(cand)
			t.Cleanup(srv.Close)
			meta, err := metaclient.New(metaclient.Config{Endpoints: []string{strings.TrimPrefix(srv.URL, "https://")}, TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(meta.Close)
			c.Meta = meta
			ctx, cancel := context.WithTimeout(t.Context(), 5*joinPoll)
			defer cancel()
			var said []string
			st, err := c.JoinMember(ctx, "d", "d:7080", addr, func(s string) { said = append(said, s) })
			switch {
			case !errors.Is(err, tc.err) || tc.err == nil && err != nil:
				t.Errorf("got %v, want %v", err, tc.err)
			case err == nil && (len(st.Peers) != 1 || !st.Peers[0].Voter):
				t.Errorf("got %+v", st)
			case tc.said != "" && (len(said) == 0 || !strings.Contains(said[0], tc.said) || tc.err == nil && len(said) != 2):
				t.Errorf("said %q", said)
			}
		})
	}
}
