package pages

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open serves a console over an uploader that says what reached it.
func open(t *testing.T) (*Server, *httptest.Server) {
	t.Helper()
	up := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/jobs":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"items":[{"title":"one"}]}`)
		case r.URL.Path == "/files" && r.Method == http.MethodPost:
			w.Header().Set("Location", "https://elsewhere/files/abc")
			w.WriteHeader(http.StatusCreated)
		default:
			fmt.Fprintf(w, "%s %s cookie=%q authorization=%q", r.Method, r.URL.Path, r.Header.Get("Cookie"), r.Header.Get("Authorization"))
		}
	}))
	t.Cleanup(up.Close)
	u, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{
		Addr: "127.0.0.1:0", Uploaders: []string{u.Host}, Transport: up.Client().Transport,
		Catalog: films{}, Roles: roles{}, Play: plays, Drills: breaks{}, Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context()) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, up
}

// films can be deleted, but for the one that is not there.
type films struct{}

func (films) DeleteVideo(_ context.Context, id vstack.VideoID) error {
	if id != (vstack.VideoID{1}) {
		return fmt.Errorf("video %s: %w", id, vstack.ErrNotFound)
	}
	return nil
}

func (films) SetClass(_ context.Context, id vstack.VideoID, req wire.ClassRequest) (vstack.Video, error) {
	return vstack.Video{ID: id, Policy: req.Policy}, nil
}

func (films) ReplaceStore(_ context.Context, id, _ vstack.StoreID) (wire.ReplaceStoreReply, error) {
	if id != (vstack.StoreID{1}) {
		return wire.ReplaceStoreReply{}, fmt.Errorf("store %s: %w", id, vstack.ErrNotFound)
	}
	return wire.ReplaceStoreReply{Groups: 7}, nil
}

func (films) TransferLeader(_ context.Context, to string) error {
	if to != "h2" {
		return fmt.Errorf("member %q: %w", to, vstack.ErrNotFound)
	}
	return nil
}

func (films) Order(_ context.Context, req wire.OrderRequest) (wire.OrderReply, error) {
	if req.Order != vstack.OrderDrain || len(req.Stores) != 1 {
		return wire.OrderReply{}, fmt.Errorf("order %q: %w", req.Order, vstack.ErrInvalid)
	}
	return wire.OrderReply{Roles: 9}, nil
}

func (films) Orders(context.Context) ([]wire.StandingOrder, error) {
	return []wire.StandingOrder{{Host: "h1", Roles: 9}}, nil
}

func (films) OKToStop(_ context.Context, host vstack.HostID) (wire.OKToStop, error) {
	return wire.OKToStop{Host: host, OK: host == "h1"}, nil
}

func (films) Balance(context.Context) (wire.BalanceReport, error) { return wire.BalanceReport{}, nil }

func (films) SetBalance(_ context.Context, to vstack.Balance) (wire.BalanceReport, error) {
	return wire.BalanceReport{State: to}, nil
}

func (films) SetRedundancy(_ context.Context, req wire.RedundancyRequest) (wire.Redundancy, error) {
	if req.Policy != nil {
		if err := req.Policy.Check(); err != nil {
			return wire.Redundancy{}, err
		}
	}
	return wire.Redundancy{Paused: req.Paused != nil && *req.Paused}, nil
}

func (films) Events(_ context.Context, since uint64, limit int) (wire.EventPage, error) {
	return wire.EventPage{Items: []vstack.Event{{Index: since + 1, Kind: vstack.EventDeleted, By: "admin alice"}}, Next: since + 2}, nil
}

// roles take what they are asked.
type roles struct{}

func (roles) ScrubStore(context.Context, vstack.StoreID) (wire.ScrubStatus, error) {
	return wire.ScrubStatus{Running: true}, nil
}

func (roles) CancelJob(_ context.Context, id vstack.UploadID) (wire.Job, error) {
	return wire.Job{Upload: id, State: wire.JobCanceled}, nil
}

type ask struct{ method, path, host, origin, token, cookie, body string }

func (s *Server) answer(t *testing.T, a ask) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(a.method, "http://"+s.Addr()+a.path, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if a.host != "" {
		req.Host = a.host
	}
	for name, value := range map[string]string{"Origin": a.origin, "Cookie": a.cookie} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestOnlyTheConsolesOwnPagesGetIn(t *testing.T) {
	s, _ := open(t)
	here := "http://" + s.Addr()
	for name, tc := range map[string]struct {
		ask
		want int
	}{
		"the pages":                           {ask{path: "/"}, 200},
		"a film, for a player beside":         {ask{path: "/play/x/master.m3u8"}, 200},
		"another site's name for 127.0.0.1":   {ask{path: "/", host: "evil.example:8890"}, 403},
		"another site's page":                 {ask{path: "/", origin: "https://evil.example"}, 403},
		"the API without the token":           {ask{path: "/v1/videos"}, 401},
		"the API with another token":          {ask{path: "/v1/videos", token: "wrong"}, 401},
		"the API with the token":              {ask{path: "/v1/videos", token: s.token}, 200},
		"the token from another site":         {ask{path: "/v1/videos", token: s.token, origin: "https://evil.example"}, 403},
		"the token from here":                 {ask{path: "/v1/videos", token: s.token, origin: here}, 200},
		"an upload without the token":         {ask{method: "POST", path: "/files"}, 401},
		"an upload with a ticket alone":       {ask{method: "POST", path: "/files", token: "a-ticket"}, 401},
		"an upload with another's cookie":     {ask{method: "POST", path: "/files", token: "a-ticket", cookie: cookieName + "=other"}, 401},
		"an upload with the token":            {ask{method: "POST", path: "/files", token: s.token}, 201},
		"an uploader that there is not":       {ask{path: "/up/7/files/abc", token: s.token}, 404},
		"a film changed without the token":    {ask{method: "DELETE", path: "/play/x"}, 401},
		"a session for another run's token":   {ask{method: "POST", path: "/session", body: "old"}, 403},
		"a session of a megabyte":             {ask{method: "POST", path: "/session", body: strings.Repeat("x", 1<<20)}, 403},
		"a session for the printed link":      {ask{method: "POST", path: "/session", body: s.token, origin: here}, 204},
		"a film deleted without the token":    {ask{method: "DELETE", path: "/v1/videos/" + vstack.VideoID{1}.String()}, 401},
		"a film deleted from another site":    {ask{method: "DELETE", path: "/v1/videos/" + vstack.VideoID{1}.String(), token: s.token, origin: "https://evil.example"}, 403},
		"a film deleted with the token":       {ask{method: "DELETE", path: "/v1/videos/" + vstack.VideoID{1}.String(), token: s.token}, 204},
		"a film that there is not, deleted":   {ask{method: "DELETE", path: "/v1/videos/" + vstack.VideoID{2}.String(), token: s.token}, 404},
		"what is no film, deleted":            {ask{method: "DELETE", path: "/v1/videos/x", token: s.token}, 400},
		"a film kept hot":                     {ask{method: "PUT", path: "/v1/videos/" + vstack.VideoID{1}.String() + "/class", token: s.token, body: `{"policy":"hot"}`}, 200},
		"what is no class":                    {ask{method: "PUT", path: "/v1/videos/" + vstack.VideoID{1}.String() + "/class", token: s.token, body: `hot`}, 400},
		"a store emptied without the token":   {ask{method: "POST", path: "/v1/stores/" + vstack.StoreID{1}.String() + "/replace"}, 401},
		"a store emptied":                     {ask{method: "POST", path: "/v1/stores/" + vstack.StoreID{1}.String() + "/replace", token: s.token}, 200},
		"a store that there is not, emptied":  {ask{method: "POST", path: "/v1/stores/" + vstack.StoreID{2}.String() + "/replace", token: s.token}, 404},
		"what is no store, checked":           {ask{method: "POST", path: "/v1/stores/x/scrub", token: s.token}, 400},
		"a store checked":                     {ask{method: "POST", path: "/v1/stores/" + vstack.StoreID{1}.String() + "/scrub", token: s.token}, 200},
		"a store checked from another site":   {ask{method: "POST", path: "/v1/stores/" + vstack.StoreID{1}.String() + "/scrub", token: s.token, origin: "https://evil.example"}, 403},
		"a store drained":                     {ask{method: "POST", path: "/v1/stores/orders", token: s.token, body: `{"stores":["` + vstack.StoreID{1}.String() + `"],"order":"drain"}`}, 200},
		"a store drained without the token":   {ask{method: "POST", path: "/v1/stores/orders", body: `{"order":"drain"}`}, 401},
		"an order that there is not":          {ask{method: "POST", path: "/v1/stores/orders", token: s.token, body: `{"order":"burn"}`}, 400},
		"orders":                              {ask{path: "/v1/stores/orders", token: s.token}, 200},
		"may a host stop":                     {ask{path: "/v1/nodes/h1/ok-to-stop", token: s.token}, 200},
		"roles shared out":                    {ask{method: "PUT", path: "/v1/balance", token: s.token, body: `{"state":"running"}`}, 200},
		"roles shared out, by another site":   {ask{method: "PUT", path: "/v1/balance", token: s.token, origin: "https://evil.example", body: `{"state":"running"}`}, 403},
		"moves of films paused":               {ask{method: "PUT", path: "/v1/redundancy", token: s.token, body: `{"paused":true}`}, 200},
		"moves paused by another site":        {ask{method: "PUT", path: "/v1/redundancy", token: s.token, origin: "https://evil.example", body: `{"paused":true}`}, 403},
		"a policy that makes no sense":        {ask{method: "PUT", path: "/v1/redundancy", token: s.token, body: `{"policy":{"warm_above":-1}}`}, 400},
		"what happened":                       {ask{path: "/v1/catalog/events?since=7", token: s.token}, 200},
		"what happened, without the token":    {ask{path: "/v1/catalog/events"}, 401},
		"what happened since yesterday":       {ask{path: "/v1/catalog/events?since=yesterday", token: s.token}, 400},
		"another leader":                      {ask{method: "POST", path: "/v1/raft/transfer", token: s.token, body: `{"to":"h2"}`}, 204},
		"another leader without the token":    {ask{method: "POST", path: "/v1/raft/transfer", body: `{"to":"h2"}`}, 401},
		"a leader that there is not":          {ask{method: "POST", path: "/v1/raft/transfer", token: s.token, body: `{"to":"h9"}`}, 404},
		"a change of a megabyte":              {ask{method: "POST", path: "/v1/raft/transfer", token: s.token, body: `{"to":"` + strings.Repeat("x", 1<<20) + `"}`}, 400},
		"a job canceled":                      {ask{method: "DELETE", path: "/v1/jobs/" + vstack.UploadID{1}.String(), token: s.token}, 200},
		"a job canceled without the token":    {ask{method: "DELETE", path: "/v1/jobs/" + vstack.UploadID{1}.String()}, 401},
		"metrics, which name hosts and paths": {ask{path: "/metrics"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			if got, body, _ := s.answer(t, tc.ask); got != tc.want {
				t.Errorf("status %d, want %d: %s", got, tc.want, body)
			}
		})
	}
}

func TestASessionIsACookieThatScriptsCannotRead(t *testing.T) {
	s, _ := open(t)
	_, _, h := s.answer(t, ask{method: http.MethodPost, path: "/session", body: s.token})
	c, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	if err != nil || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Fatalf("cookie %+v, %v", c, err)
	}
	status, body, _ := s.answer(t, ask{method: http.MethodGet, path: "/v1/jobs", cookie: c.Name + "=" + c.Value})
	if status != 200 || !strings.Contains(body, `"one"`) {
		t.Errorf("jobs: %d %s", status, body)
	}
}

func TestAnUploadStaysWithItsUploader(t *testing.T) {
	s, _ := open(t)
	_, _, h := s.answer(t, ask{method: http.MethodPost, path: "/files", token: s.token})
	if got := h.Get("Location"); got != "/up/0/files/abc" {
		t.Fatalf("Location %q", got)
	}
	_, body, _ := s.answer(t, ask{method: http.MethodPatch, path: "/up/0/files/abc", token: s.token, cookie: "secret=1"})
	if body != `PATCH /files/abc cookie="" authorization=""` {
		t.Errorf("the uploader got %s", body)
	}
	// A page that has signed in shows a ticket for the uploader as its bearer.
	cookie := cookieName + "=" + s.token
	if _, body, _ = s.answer(t, ask{method: http.MethodPatch, path: "/up/0/files/abc", token: "a-ticket", cookie: cookie}); body != `PATCH /files/abc cookie="" authorization="Bearer a-ticket"` {
		t.Errorf("with a ticket the uploader got %s", body)
	}
	if _, body, _ = s.answer(t, ask{method: http.MethodPatch, path: "/up/0/files/abc", token: s.token, cookie: cookie}); body != `PATCH /files/abc cookie="" authorization=""` {
		t.Errorf("with token and cookie the uploader got %s", body)
	}
}

func TestAConsoleListensOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:80", "example.org:80"} {
		if s, err := Open(Config{Addr: addr, Pages: http.NotFoundHandler()}); err == nil {
			_ = s.Close()
			t.Errorf("%s was taken", addr)
		}
	}
}
