package viewer

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAViewerIsAnAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1234": "192.0.2.7/32", "[::ffff:192.0.2.7]:1": "192.0.2.7/32", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64",
	} {
		if got := ofAddress(remote).String(); got != want {
			t.Errorf("%s: viewer %s, want %s", remote, got, want)
		}
	}
}

func TestAProxyOnThisMachineSaysWhomItAsksFor(t *testing.T) {
	for _, tc := range []struct{ remote, forwarded, want string }{
		{"127.0.0.1:1", "", "127.0.0.1/32"},
		{"127.0.0.1:1", "192.0.2.7", "192.0.2.7/32"},
		{"[::1]:1", "198.51.100.1, 2001:db8:1:2::3", "2001:db8:1:2::/64"},
		{"127.0.0.1:1", "rubbish", "127.0.0.1/32"},
		{"203.0.113.9:1", "192.0.2.7", "203.0.113.9/32"}, // a stranger says what it likes
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.remote
		r.Header.Set("X-Forwarded-For", tc.forwarded)
		if got := Of(r).String(); got != tc.want {
			t.Errorf("%s for %q: %s, want %s", tc.remote, tc.forwarded, got, tc.want)
		}
	}
}

// TestAFilmsOwnAddressIsThatOfWhoeverAsks: by TLS, by a proxy that does TLS, on this machine.
func TestAFilmsOwnAddressIsThatOfWhoeverAsks(t *testing.T) {
	for _, c := range []struct{ from, host, said, want string }{
		{"192.0.2.7:5", "films.example", "", "https://films.example/play/x/"},
		{"127.0.0.1:5", "films.example", "", "https://films.example/play/x/"},
		{"127.0.0.1:5", "films.example:8080", "http", "http://films.example:8080/play/x/"},
		{"192.0.2.7:5", "films.example", "http", "https://films.example/play/x/"}, // not a proxy's word
		{"127.0.0.1:5", "127.0.0.1:8889", "", "http://127.0.0.1:8889/play/x/"},
		{"127.0.0.1:5", "localhost:8889", "https", "https://localhost:8889/play/x/"},
		{"127.0.0.1:5", "[::1]:8889", "ftp", "http://[::1]:8889/play/x/"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/play/x/manifest.mpd", nil)
		r.RemoteAddr, r.Host = c.from, c.host
		r.Header.Set("X-Forwarded-Proto", c.said)
		if got := Here(r); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
