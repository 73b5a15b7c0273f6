package metastore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/stranger/crowd"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestWhoMayDoWhat prints and holds the matrix of routes, identities and protocols.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.leader()
	everybody := crowd.Everybody(t, c.ca, filepath.Join(c.dir, "ca"))
	c.ids[0].Revoke(crowd.Revoked, 1)
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var names []string
		clients := make([]*http.Client, len(everybody))
		for i, who := range everybody {
			names = append(names, who.Name)
			clients[i] = crowd.Client(t, who.TLS, proto)
		}
		lines := []string{fmt.Sprintf("%s: %s", proto, strings.Join(names, ", "))}
		for _, r := range Routes() {
			path := strings.ReplaceAll(r.Path, "{id}", "01890000-0000-7000-8000-000000000000")
			if r.Path == "/v1/feed" {
				path += "?wait=0"
			}
			var got []string
			for i, who := range everybody {
				want := who.Want(r.Roles)
				req, err := http.NewRequestWithContext(t.Context(), r.Method, "https://"+c.peers[0].API+path, strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				verdict := crowd.Verdict(clients[i].Do(req))
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

// What a host that was never a member did with its certificate, and a member of another's.
func TestAHostSpeaksForItselfOnly(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	lead := c.leader()
	stranger := c.issue(identity.Spec{ID: "x1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
	up, err := c.clientAs(c.ids[0]).OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "mine", Owner: vstack.ProposerOf("h1", [8]byte{1}), Source: testSource("mine")})
	if err != nil {
		t.Fatal(err)
	}
	path := "/v1/uploads/" + up.ID.String()
	body := fmt.Sprintf(`{"incarnation":%d,"manifest":{"version":1}}`, up.Incarnation)
	own := fmt.Sprintf(`{"owner":"%s"}`, vstack.ProposerOf("x1", [8]byte{1}))
	mine := c.clientAs(c.issue(identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	for i := range c.members { // the leader and those that pass it on
		c.heartbeat(mine, heartbeatOf(0, 1)) // its uploads are its own while it is up
		for _, q := range []struct {
			what, method, path, body string
			header                   map[string]string
		}{
			{"publish another's upload", "PUT", path + "/publish", body, nil},
			{"abort another's upload", "DELETE", path, "", nil},
			{"resume another's upload while its host is up", "POST", path + "/resume", own, nil},
			{"open an upload in another's name", "POST", "/v1/uploads", fmt.Sprintf(`{"title":"x","owner":"%s"}`, vstack.ProposerOf("h2", [8]byte{2})), nil},
			{"delete a video", "DELETE", "/v1/videos/" + up.Video.String(), "", nil},
			{"download the catalog", "GET", "/v1/raft/snapshot?consistency=stale", "", nil},
			{"have the leader dial an address", "POST", "/v1/raft/peers/x1", `{"raft":"127.0.0.1:1","api":"127.0.0.1:2"}`, nil},
			{"move a store", "POST", "/v1/stores/" + storeID(0, 0).String() + "/replace", "{}", nil},
			{"commit views as a member", "POST", "/v1/views", `{"views":[]}`, nil},
			{"report a host", "POST", "/v1/heartbeats", `{"host":"h1","stores":[]}`, nil},
			{"report a store where it is not", "POST", "/v1/heartbeats", fmt.Sprintf(`{"host":"x1","stores":[{"id":"%s","addr":"192.0.2.1:8081","capacity":1}]}`, storeID(8, 0)), nil},
			{"pass on for an administrator", "DELETE", path, "", map[string]string{wire.HeaderForwarded: "x1", wire.HeaderCaller: "admin ann"}},
			{"pass on for the owner", "DELETE", path, "", map[string]string{wire.HeaderForwarded: "x1", wire.HeaderCaller: "host h1"}},
			{"pass on as a member", "DELETE", path, "", map[string]string{wire.HeaderForwarded: "h2", wire.HeaderCaller: "host h1"}},
			{"speak for another without passing on", "DELETE", path, "", map[string]string{wire.HeaderCaller: "host h1"}},
		} {
			resp, answer := c.ask(t, stranger, i, q.method, q.path, q.body, q.header)
			wantProblem(t, fmt.Sprintf("%s, at member %d (leader %d)", q.what, i, lead), resp, answer, vstack.ErrForbidden)
		}
		// A member with all roles may pass on, and nothing else of another host's.
		resp, answer := c.ask(t, c.ids[1], i, "DELETE", path, "", nil)
		wantProblem(t, "a member aborts another's upload", resp, answer, vstack.ErrForbidden)
	}
	if err := c.clientAs(c.ids[0]).AbortUpload(t.Context(), up.ID, up.Incarnation); err != nil {
		t.Errorf("the owner aborts: %v", err)
	}
}

// TestARenewedMemberGoesOnOnceItsOldCertificateIsRevoked has a follower pass requests on, on
// a connection that its old certificate made.
func TestARenewedMemberGoesOnOnceItsOldCertificateIsRevoked(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	i := (c.leader() + 1) % 3
	ask := func() int {
		resp, _ := c.ask(t, c.reader(t), i, "GET", "/v1/nodes", "", nil)
		return resp.StatusCode
	}
	c.eventually("an answer by way of the follower", func() bool { return ask() == http.StatusOK })
	dir := filepath.Join(c.dir, "tls-"+c.peers[i].ID)
	old, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	renewed := identity.Spec{ID: c.peers[i].ID, Role: identity.RoleHost, ValidFor: time.Hour}
	for _, ip := range old.Leaf.IPAddresses {
		renewed.Addrs = append(renewed.Addrs, ip.String())
	}
	if err := errors.Join(c.ca.Issue(dir, renewed), c.ids[i].Reload()); err != nil {
		t.Fatal(err)
	}
	for _, id := range c.ids {
		id.Revoke([]vstack.Revocation{{Serial: fmt.Sprintf("%x", old.Leaf.SerialNumber), At: time.Now()}}, 1)
	}
	c.eventually("answers as before", func() bool {
		got := ask()
		if got == http.StatusForbidden {
			t.Error("the caller is told of the member's certificate")
		}
		return got == http.StatusOK
	})
}

func TestAnUploadGoesOnElsewhereOnceItsHostIsSilent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, impatient)
	c.register()
	ctx := t.Context()
	up, err := c.clientAs(c.ids[0]).OpenUpload(ctx, wire.OpenUploadRequest{Title: "mine", Owner: vstack.ProposerOf("h2", [8]byte{1}), Source: testSource("mine")})
	if !errors.Is(err, vstack.ErrForbidden) {
		t.Fatalf("h1 opens an upload of h2: %v, %v", up, err)
	}
	h2 := c.clientAs(c.issue(identity.Spec{ID: "h2", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	if up, err = h2.OpenUpload(ctx, wire.OpenUploadRequest{Title: "mine", Owner: vstack.ProposerOf("h2", [8]byte{1}), Source: testSource("mine")}); err != nil {
		t.Fatal(err)
	}
	h1 := c.clientAs(c.ids[0])
	mine := wire.ResumeUploadRequest{Owner: vstack.ProposerOf("h1", [8]byte{1})}
	beat := time.Now()
	c.heartbeat(h2, heartbeatOf(1, 1))
	_, err = h1.ResumeUpload(ctx, up.ID, mine)
	if silent := time.Since(beat); !errors.Is(err, vstack.ErrForbidden) && silent < c.config(0, &member{}).DownAfter {
		t.Errorf("%s after a word of its host: %v", silent, err)
	}
	c.eventually("the upload to be h1's once h2 is silent", func() bool {
		got, err := h1.ResumeUpload(ctx, up.ID, mine)
		return err == nil && got.Owner.Of("h1")
	})
	if err := h2.AbortUpload(context.WithoutCancel(ctx), up.ID, 0); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("who owned it once aborts it: %v", err)
	}
}

func TestTicketsAreMadeUsedAndTakenBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.levelBeats(vstack.NewestLevel)
	c.eventually("the newest level", func() bool {
		r, err := c.client().Levels(t.Context())
		return err == nil && r.Level == vstack.NewestLevel
	})
	ctx := t.Context()
	admin := c.client((c.leader() + 1) % 3)
	host := c.clientAs(c.ids[0])
	if _, err := host.CreateTicket(ctx, wire.TicketRequest{}); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("a host makes a ticket: %v", err)
	}
	made, err := admin.CreateTicket(ctx, wire.TicketRequest{Note: "ann", Bytes: 100, Uses: 2, Life: 3600})
	if err != nil || vstack.TicketOf(made.Token) != made.ID || made.Uses != 2 {
		t.Fatalf("made %+v, %v", made, err)
	}
	if all, err := admin.Tickets(ctx); err != nil || len(all) != 1 || all[0] != made.Ticket {
		t.Errorf("listed %+v, %v; made %+v", all, err, made.Ticket)
	}
	use := func(as *metaclient.Client, uses int, size int64) error {
		return as.UseTicket(ctx, made.ID, wire.UseTicketRequest{Uses: uses, Size: size})
	}
	if err := use(c.clientAs(c.reader(t)), 1, 1); !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("a stranger uses it: %v", err)
	}
	if err := use(host, 1, 101); !errors.Is(err, vstack.ErrTooLarge) {
		t.Errorf("for a larger file: %v", err)
	}
	if err := errors.Join(use(host, 0, 0), use(host, 1, 100), use(host, 1, 100)); err != nil {
		t.Error(err)
	}
	if err := use(host, 1, 100); !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("a third time: %v", err)
	}
	other, err := admin.CreateTicket(ctx, wire.TicketRequest{})
	if err != nil || other.Uses != 1 {
		t.Fatalf("%+v, %v", other, err)
	}
	if err := errors.Join(admin.DropTicket(ctx, other.ID), admin.DropTicket(ctx, other.ID)); err != nil {
		t.Error(err)
	}
	if err := host.UseTicket(ctx, other.ID, wire.UseTicketRequest{Uses: 1}); !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("one that was taken back: %v", err)
	}
}
