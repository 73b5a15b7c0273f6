package wire

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"
)

func TestPackedIsWhatWasAskedFor(t *testing.T) {
	long := bytes.Repeat([]byte(`{"id":"a","targets":["b","c"]},`), 200)
	for name, c := range map[string]struct {
		accept string
		body   []byte
		packed bool
	}{
		"gzip":                       {"gzip", long, true},
		"among others":               {"br;q=1.0, GZIP;q=0.8, *;q=0.1", long, true},
		"refused by its weight":      {"gzip;q=0, identity", long, false},
		"a weight that is no number": {"gzip;q=x", long, false},
		"not named":                  {"br, deflate", long, false},
		"nothing said":               {"", long, false},
		"too little to be worth it":  {"gzip", long[:packedFrom-1], false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{"Accept-Encoding": {c.accept}}}
			h := http.Header{"Etag": {`"7"`}}
			got := Packed(h, r, c.body)
			if h.Get("Vary") != "Accept-Encoding" {
				t.Errorf("Vary %q: a cache would give one form to who takes the other", h.Get("Vary"))
			}
			if packed := h.Get("Content-Encoding") == "gzip"; packed != c.packed {
				t.Fatalf("packed: %v, want %v", packed, c.packed)
			}
			if !c.packed {
				if !bytes.Equal(got, c.body) || h.Get("ETag") != `"7"` {
					t.Errorf("%d bytes with tag %s, want %d as they were", len(got), h.Get("ETag"), len(c.body))
				}
				return
			}
			if len(got) >= len(c.body)/2 || h.Get("ETag") != `W/"7"` {
				t.Errorf("%d bytes of %d, tag %s", len(got), len(c.body), h.Get("ETag"))
			}
			z, err := gzip.NewReader(bytes.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, c.body) {
				t.Errorf("%d bytes came back, %v", len(back), err)
			}
		})
	}
}

func TestPackedLeavesAloneWhatWouldGrow(t *testing.T) {
	noise := make([]byte, 4000)
	x := uint64(1)
	for i := range noise {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		noise[i] = byte(x)
	}
	h := http.Header{}
	if got := Packed(h, &http.Request{Header: http.Header{"Accept-Encoding": {"gzip"}}}, noise); !bytes.Equal(got, noise) || h.Get("Content-Encoding") != "" {
		t.Errorf("%d bytes, encoding %q", len(got), h.Get("Content-Encoding"))
	}
}
