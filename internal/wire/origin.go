package wire

import (
	"fmt"
	"mime"
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
)

// SameOrigin refuses what a page of another site has a visitor's browser ask for: the browser
// sends the visitor's certificate along. GET, HEAD and OPTIONS change nothing, and programs
// that are no browsers send none of the headers that say so.
func SameOrigin(r *http.Request) error {
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return fmt.Errorf("%.20s %.200s: %w: %v", r.Method, r.URL.Path, vstack.ErrForbidden, err)
	}
	return nil
}

// JSONBody refuses a body of a kind that a page of another site can have a browser send
// without asking: a form's. curl says form, too, where nobody told it otherwise; so that one
// is taken of what is no browser.
func JSONBody(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil // it says none
	}
	browser := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	if kind == "text/plain" || kind == "multipart/form-data" || kind == "application/x-www-form-urlencoded" && browser {
		return fmt.Errorf("body of type %s: %w: want application/json", kind, vstack.ErrInvalid)
	}
	return nil
}
