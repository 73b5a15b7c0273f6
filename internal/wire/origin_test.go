package wire_test

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestAPageOfAnotherSiteChangesNothing(t *testing.T) {
	for _, c := range []struct {
		method, header, value string
		ok                    bool
	}{
		{"POST", "", "", true}, // a program
		{"POST", "Origin", "https://h1:8080", true},
		{"POST", "Origin", "https://h1:8081", false},
		{"DELETE", "Origin", "null", false},
		{"PUT", "Sec-Fetch-Site", "cross-site", false},
		{"PUT", "Sec-Fetch-Site", "same-site", false},
		{"PUT", "Sec-Fetch-Site", "same-origin", true},
		{"GET", "Origin", "https://evil.example", true}, // reads are public
	} {
		r := httptest.NewRequest(c.method, "https://h1:8080/v1/videos", nil)
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		if err := wire.SameOrigin(r); (err == nil) != c.ok || err != nil && !errors.Is(err, vstack.ErrForbidden) {
			t.Errorf("%s with %s %q: %v", c.method, c.header, c.value, err)
		}
	}
}

func TestAFormIsNoJSON(t *testing.T) {
	for _, c := range []struct {
		kind, origin string
		ok           bool
	}{
		{"", "", true}, {"application/json", "", true}, {"application/json; charset=utf-8", "https://h1", true},
		{"application/x-www-form-urlencoded", "", true}, // curl -d
		{"application/x-www-form-urlencoded", "https://h1", false},
		{"text/plain", "", false}, {"multipart/form-data; boundary=x", "", false},
	} {
		r := httptest.NewRequest("POST", "https://h1/v1/videos", nil)
		r.Header.Set("Content-Type", c.kind)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if err := wire.JSONBody(r); (err == nil) != c.ok || err != nil && !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%q from %q: %v", c.kind, c.origin, err)
		}
	}
}
