package serve

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// span is the part of a chunk that an answer carries.
type span struct {
	off, n int64
}

// parseRange reads a Range header (RFC 9110, section 14) against a chunk of size
// bytes. It returns partial=false when the whole chunk is the answer: no header, a
// unit or syntax that a server ignores, or several ranges, which we answer whole. A
// well-formed range that lies outside the chunk is ErrRangeInvalid.
func parseRange(header string, size int64) (s span, partial bool, err error) {
	whole := span{0, size}
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return whole, false, nil
	}
	first, last, ok := strings.Cut(strings.Trim(spec, " \t"), "-")
	if !ok || !digits(first) || !digits(last) || first == "" && last == "" {
		return whole, false, nil
	}
	if first == "" { // suffix: the last n bytes
		n := clampInt(last, size)
		if n == 0 {
			return span{}, false, fmt.Errorf("%w: %q of %d bytes", vstack.ErrRangeInvalid, clip(header), size)
		}
		return span{size - n, n}, true, nil
	}
	from, to := clampInt(first, size), size-1
	if last != "" {
		// Compared as text first: both may be longer than an int64.
		if less(last, first) {
			return whole, false, nil
		}
		to = min(clampInt(last, size), size-1)
	}
	if from >= size {
		return span{}, false, fmt.Errorf("%w: %q of %d bytes", vstack.ErrRangeInvalid, clip(header), size)
	}
	return span{from, to - from + 1}, true, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// clampInt reads decimal digits; a number above limit, however long, is limit.
func clampInt(s string, limit int64) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > limit {
		return limit
	}
	return n
}

// less compares two strings of digits as numbers.
func less(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// clip bounds what a hostile header may add to an error text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// etagListed reports whether an If-None-Match value names the strong tag etag. The
// comparison is the weak one, as RFC 9110 asks for this header.
func etagListed(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.Trim(tag, " \t")
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
