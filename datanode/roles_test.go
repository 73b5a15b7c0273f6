package datanode

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/stranger/crowd"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestWhoMayDoWhat prints and holds the matrix of routes, identities and protocols.
func TestWhoMayDoWhat(t *testing.T) {
	c := newCluster(t, nil)
	ca, err := identity.LoadCA(filepath.Join(c.dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	everybody := crowd.Everybody(t, ca, filepath.Join(c.dir, "ca"))
	fill := strings.NewReplacer("{sha256}", vstack.ChunkID{}.String(), "{video}", vstack.VideoID{1}.String(), "{track}", "0", "{seq}", "1", "{scheme}", "3+2", "{number}", "1")
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		var names []string
		clients := make([]*http.Client, len(everybody))
		for i, who := range everybody {
			names = append(names, who.Name)
			clients[i] = crowd.Client(t, who.TLS, proto)
		}
		lines := []string{fmt.Sprintf("%s: %s", proto, strings.Join(names, ", "))}
		for _, r := range Routes() {
			var got []string
			for i, who := range everybody {
				req, err := http.NewRequestWithContext(t.Context(), r.Method, "https://"+c.nodes[0].addr+fill.Replace(r.Path), strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				want, verdict := who.Want(r.Roles), crowd.Verdict(clients[i].Do(req))
				if verdict != want {
					t.Errorf("%s %s %s as %s: %s, want %s", proto, r.Method, r.Path, who.Name, verdict, want)
				}
				got = append(got, verdict)
			}
			lines = append(lines, crowd.Row(r.Method+" "+r.Path, r.Roles, got))
		}
		t.Log(strings.Join(lines, "\n"))
	}
}

func TestAHostVotesForItsOwnOnly(t *testing.T) {
	c := newCluster(t, nil)
	n := c.nodes[0]
	ask := func(host string, m message.Message) error {
		req, err := wire.NewPaxosRequest(t.Context(), "https://"+n.addr, m, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.as(t, host).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode < 400 {
			return nil
		}
		return wire.ReadError(resp)
	}
	seal := message.Seal{PG: 3, Epoch: 1}
	if err := ask("x1", seal); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("a host without a store seals a group: %v", err)
	}
	prepare := message.PrepareUpload{Upload: vstack.UploadID{1}, Ballot: vstack.Ballot{Incarnation: 1, Round: 1, Proposer: vstack.ProposerOf("h2", [8]byte{1})}}
	if err := ask("h1", prepare); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("h1 prepares as h2: %v", err)
	}
	if err := ask("h2", prepare); errors.Is(err, vstack.ErrForbidden) || err == nil {
		t.Errorf("h2 prepares an upload that is not: %v", err)
	}
}
