package metaclient

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func addr(m *member) string { return strings.TrimPrefix(m.URL, "https://") }

// knows answers as a member that knows the given ones.
func knows(version string, members ...*member) http.HandlerFunc {
	list := wire.RaftMembers{Version: version}
	for _, m := range members {
		list.Items = append(list.Items, wire.RaftMember{ID: m.URL, API: addr(m), Voter: true})
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderMembers, version)
		if r.URL.Path == "/v1/raft/members" {
			give(list)(w, r)
			return
		}
		give(vstack.Video{})(w, r)
	}
}

// await asks until the client knows the wanted list: it asks for it with an answer that
// names another, and not too often.
func (c *Client) await(t *testing.T, want ...*member) {
	t.Helper()
	d := c.members
	var apis []string
	for _, m := range want {
		apis = append(apis, addr(m))
	}
	for deadline := time.Now().Add(time.Minute); !slices.Equal(d.endpoints(), apis); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("knows %v, want %v", d.endpoints(), apis)
		}
		if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAClientFollowsTheMembers(t *testing.T) {
	a, b := serve(t, nil), serve(t, nil)
	x, y := serve(t, nil), serve(t, nil)
	for _, m := range []*member{a, b, x, y} {
		m.become(knows("2", y, b, x))
	}
	c := connect(t, nil, a, b)
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
		t.Fatal(err)
	}
	c.await(t, b, y, x) // the configured one keeps its place
	asked := a.asked()
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
		t.Fatal(err)
	}
	if a.asked() != asked {
		t.Error("goes on asking the one that left")
	}
	// Everybody who was configured is gone.
	a.Close()
	b.Close()
	x.become(knows("3", x, y))
	y.become(knows("3", x, y))
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
		t.Fatal(err)
	}
	c.await(t, x, y)
}

func TestAClientReturnsToWhereItBegan(t *testing.T) {
	a, x := serve(t, nil), serve(t, nil)
	a.become(knows("1", x))
	x.become(knows("1", x))
	c := connect(t, nil, a)
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
		t.Fatal(err)
	}
	c.await(t, x)
	x.Close()
	a.become(knows("2", a))
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
		t.Fatalf("a call that goes round: %v", err)
	}
	a.become(knows("3", x))
	c.members.mu.Lock()
	c.members.current, c.members.version = []string{addr(x)}, "3"
	c.members.mu.Unlock()
	if _, err := c.Heartbeat(t.Context(), wire.Heartbeat{Host: "h1"}); err != nil {
		t.Fatalf("a call of one attempt each: %v", err)
	}
}

func TestAListThatSaysNothingChangesNothing(t *testing.T) {
	a := serve(t, nil)
	a.become(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderMembers, "9")
		give(wire.RaftMembers{Version: "9", Items: []wire.RaftMember{{ID: "h1"}, {ID: "h2", API: "no port"}}})(w, r)
	})
	c := connect(t, nil, a)
	for range 3 { // the second and third may find the refresh under way
		if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	if got := c.members.endpoints(); !slices.Equal(got, []string{addr(a)}) {
		t.Errorf("knows %v", got)
	}
}
