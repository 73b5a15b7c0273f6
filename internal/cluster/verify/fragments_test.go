package verify

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestFragmentsThatAreNotTheChunksAreNamed: their sizes are right, and so is what stores say
// of them; only joining tells.
func TestFragmentsThatAreNotTheChunksAreNamed(t *testing.T) {
	data := bytes.Repeat([]byte("a film of 400 kB. "), 22_000)
	ref := vstack.ChunkRef{Seq: 1, ID: vstack.ChunkIDOf(data), Size: uint32(len(data))}
	codec, err := erasure.New(vstack.DefaultScheme)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		rotten, missing, short int // numbers of fragments, -1 for none
		deep                   bool
		want                   map[int]error // by fragment
	}{
		"all good":              {-1, -1, -1, true, nil},
		"one rotten":            {3, -1, -1, true, map[int]error{3: vstack.ErrHashMismatch}},
		"one rotten, and asked": {3, -1, -1, false, nil},
		"one rotten, one gone":  {0, 4, -1, true, map[int]error{0: vstack.ErrHashMismatch, 4: vstack.ErrNotFound}},
		"one of a wrong size":   {-1, -1, 2, false, map[int]error{2: vstack.ErrCorrupt}},
	} {
		t.Run(name, func(t *testing.T) {
			fragments, err := codec.Encode(data)
			if err != nil {
				t.Fatal(err)
			}
			if tc.rotten >= 0 {
				fragments[tc.rotten] = bytes.Clone(fragments[tc.rotten])
				fragments[tc.rotten][77] ^= 1
			}
			c, addr := against(t, func(w http.ResponseWriter, r *http.Request) {
				p, err := vstack.ParsePiece(r.URL.Path[strings.Index(r.URL.Path, "/fragments/")+len("/fragments/"):])
				if err != nil || int(p.I) == tc.missing {
					wire.WriteError(w, vstack.ErrNotFound)
					return
				}
				b := fragments[p.I]
				if int(p.I) == tc.short {
					b = b[1:]
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(b)))
				if r.Method == http.MethodGet {
					_, _ = w.Write(b)
				}
			})
			slot := wire.SlotPlacement{Chunk: ref, Scheme: vstack.DefaultScheme}
			m := &vstack.PlacementMap{}
			for i := range byte(5) {
				m.Stores = append(m.Stores, vstack.Store{ID: vstack.StoreID{i + 1}, Addr: addr})
				slot.Holders, slot.Fragments = append(slot.Holders, vstack.StoreID{i + 1}), append(slot.Fragments, vstack.FragmentNumber(i))
			}
			errs := make([]error, 5)
			read := c.fragmentsOf(t.Context(), m, slot, tc.deep, errs)
			if tc.deep != (read > 0) {
				t.Errorf("read %d bytes", read)
			}
			for i, err := range errs {
				if want := tc.want[i]; !errors.Is(err, want) {
					t.Errorf("fragment %d: %v, want %v", i, err, want)
				}
			}
		})
	}
}
