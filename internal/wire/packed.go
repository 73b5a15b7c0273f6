package wire

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// packedFrom is the least that is compressed: less fits one packet as it is.
const packedFrom = 1400

// packers are kept, as a new one takes a megabyte.
var packers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one that there is
	return z
}}

// Packed is the body of an answer as it is to be sent: compressed where the one who asked takes
// that and it is worth while. It sets the headers that say so, and makes the tag a weak one, since
// the bytes are not those that are sent to others.
func Packed(h http.Header, r *http.Request, body []byte) []byte {
	h.Add("Vary", "Accept-Encoding")
	if len(body) < packedFrom || !takesGzip(r.Header.Values("Accept-Encoding")) {
		return body
	}
	var out bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer func() { z.Reset(io.Discard); packers.Put(z) }() // it keeps no answer alive
	z.Reset(&out)
	_, err := z.Write(body)
	if cerr := z.Close(); err != nil || cerr != nil || out.Len() >= len(body) {
		return body // a buffer takes everything, so that only the last can be
	}
	h.Set("Content-Encoding", "gzip")
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		h.Set("ETag", "W/"+tag)
	}
	return out.Bytes()
}

// takesGzip reads Accept-Encoding: gzip has to be named, and not with a weight of 0.
func takesGzip(accepts []string) bool {
	for _, one := range strings.Split(strings.Join(accepts, ","), ",") {
		name, weight, weighed := strings.Cut(one, ";")
		if name = strings.ToLower(strings.TrimSpace(name)); name != "gzip" && name != "x-gzip" {
			continue
		}
		if !weighed {
			return true
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(weight)), "q="), 64)
		return err == nil && q > 0
	}
	return false
}
