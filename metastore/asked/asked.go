package asked

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const maxRequestID = 64

// RequestID reports what the header may not be.
func RequestID(id string) error {
	if len(id) > maxRequestID {
		return fmt.Errorf("%s: %w: %d characters, at most %d", wire.HeaderRequestID, vstack.ErrInvalid, len(id), maxRequestID)
	}
	for _, r := range id {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%s: %w: character %U is not printable ASCII", wire.HeaderRequestID, vstack.ErrInvalid, r)
		}
	}
	return nil
}

// Number reads an optional number.
func Number(q url.Values, name string) (uint64, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parameter %s=%.40q: %w: want a number", name, v, vstack.ErrInvalid)
	}
	return n, nil
}

// Page reads cursor and limit.
func Page(q url.Values) (before uint64, limit int, err error) {
	if before, err = Number(q, "cursor"); err != nil {
		return 0, 0, err
	}
	n, err := Number(q, "limit")
	if err != nil || n > 1000 || n == 0 && q.Get("limit") != "" {
		return 0, 0, fmt.Errorf("parameter limit=%.40q: %w: want 1 to 1,000", q.Get("limit"), vstack.ErrInvalid)
	}
	if n == 0 {
		n = 100
	}
	return before, int(n), nil
}

// Cursor names the page after; empty for none.
func Cursor(next uint64) string {
	if next == 0 {
		return ""
	}
	return strconv.FormatUint(next, 10)
}

// Body reads a JSON body of the route's limit. Unknown fields are refused, unless the sender
// may be a newer version.
func Body(r *http.Request, v any, lenient bool) error {
	if err := wire.JSONBody(r); err != nil {
		return err
	}
	return wire.ReadJSON(r.Body, v, !lenient)
}

// Known answers 304 if the client already has the tag, and says so.
func Known(w http.ResponseWriter, r *http.Request, tag string) bool {
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache") // keep, and ask each time
	for _, have := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimPrefix(strings.TrimSpace(have), "W/"); have == tag || have == "*" {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// State reads an optional state, one of some.
func State[S ~string](q url.Values, known ...S) (S, error) {
	state := S(q.Get("state"))
	if state == "" || slices.Contains(known, state) {
		return state, nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	last := len(names) - 1
	return "", fmt.Errorf("parameter state=%.40q: %w: want %s or %s", state, vstack.ErrInvalid, strings.Join(names[:last], ", "), names[last])
}

// Source reads the optional hash of an uploaded file.
func Source(q url.Values) (source vstack.ChunkID, err error) {
	if v := q.Get("source_sha256"); v != "" {
		if source, err = vstack.ParseChunkID(v); err != nil {
			err = fmt.Errorf("parameter source_sha256: %w", err)
		}
	}
	return source, err
}
