package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// span is a run of a file's bytes.
type span struct{ from, length int64 }

// parseRange reads a request's Range against a file of size bytes. Several ranges, units
// other than bytes, and an If-Range of another file are answered with the whole file, as
// RFC 9110 allows; a range that lies outside is ErrRangeInvalid.
func parseRange(r *http.Request, tag string, size int64) (span, int, error) {
	all := span{0, size}
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if cond := r.Header.Get("If-Range"); !ok || strings.Contains(spec, ",") || cond != "" && cond != tag {
		return all, http.StatusOK, nil
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return all, http.StatusOK, nil
	}
	bad := fmt.Errorf("range %q of %d bytes: %w", clip(spec), size, vstack.ErrRangeInvalid)
	if first == "" { // the last n bytes
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n <= 0 {
			return span{}, 0, bad
		}
		n = min(n, size)
		return span{size - n, n}, http.StatusPartialContent, nil
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 || from >= size {
		return span{}, 0, bad
	}
	to := size - 1
	if last != "" {
		if to, err = strconv.ParseInt(last, 10, 64); err != nil || to < from {
			return span{}, 0, bad
		}
		to = min(to, size-1)
	}
	return span{from, to - from + 1}, http.StatusPartialContent, nil
}
