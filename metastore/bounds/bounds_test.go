package bounds

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/forward"
)

func TestAnswersAreMeasuredBeforeTheyAreMade(t *testing.T) {
	for name, tc := range map[string]struct {
		method, route, accept string
		limit, chunks         int
		want                  int64
	}{
		"a write":              {"PATCH", "/v1/videos/{id}", "", 100, 1 << 20, small},
		"a video":              {"GET", "/v1/videos/{id}", "", 0, 1 << 20, small},
		"a page":               {"GET", "/v1/videos", "", 1000, 0, 1000 * row},
		"a manifest":           {"GET", "/v1/videos/{id}/manifest", "", 0, 64_001, small + 64_001*chunk},
		"places":               {"GET", "/v1/videos/{id}/placement", "", 0, 64_001, small + 64_001*slot},
		"more than there is":   {"GET", "/v1/videos/{id}/placement", "", 0, 1 << 20, MaxAnswers},
		"the feed":             {"GET", "/v1/feed", feed.ContentType, 0, 0, page},
		"the first one's feed": {"GET", "/v1/feed", "", 0, 0, manifests},
	} {
		r := httptest.NewRequest(tc.method, "/", nil)
		r.Header.Set("Accept", tc.accept)
		if got := sizeOf(r, tc.route, tc.limit, func() int { return tc.chunks }); got != tc.want {
			t.Errorf("%s: %d bytes, want %d", name, got, tc.want)
		}
	}
}

// TestWhatAMemberForwardsIsItsCallers holds that strangers take nothing from hosts by asking a
// member that does not lead.
func TestWhatAMemberForwardsIsItsCallers(t *testing.T) {
	member := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "h2", OrganizationalUnit: []string{"host"}}}}}}
	for name, tc := range map[string]struct {
		forwarded, caller, address string
		host                       bool
		key                        admission.Key
	}{
		"its own request":                     {"", "", "", true, "host h2"},
		"another host's":                      {"h2", "host h3", "", true, "host h3"},
		"a person's":                          {"h2", "admin anna", "", false, "admin anna"},
		"a stranger's":                        {"h2", "", "10.0.0.9", false, "10.0.0.9"},
		"a stranger's, by a member of before": {"h2", "", "", false, "anybody at h2"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.TLS = member
		r.Header.Set(wire.HeaderForwarded, tc.forwarded)
		r.Header.Set(wire.HeaderCaller, tc.caller)
		r.Header.Set(wire.HeaderCallerKey, tc.address)
		by, err := forward.CallerOf(r, func(id string) bool { return id == "h2" })
		if err != nil {
			t.Fatal(err)
		}
		b := New()
		of, key := b.whose(r, by)
		if (of == b.hosts) != tc.host || key != tc.key {
			t.Errorf("%s: of hosts %v, key %q", name, of == b.hosts, key)
		}
	}
}

func TestWhoIsNotServedInTimeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		r := httptest.NewRequest("GET", "/", nil)
		by := forward.Caller{Key: "10.0.0.9"}
		all := func() int { return 100_000 }
		done, err := b.Admit(r, by, "/v1/videos/{id}/manifest", 0, all)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 2 { // the second has the memory, the third not
			_, err = b.Admit(r, by, "/v1/videos/{id}/manifest", 0, all)
		}
		if !errors.Is(err, vstack.ErrUnavailable) || time.Since(began) != Wait {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if n := b.others.requests.Used(); n != 2 {
			t.Errorf("%d requests are in flight, want 2", n)
		}
		done()
	})
}
