package inventory

import (
	"slices"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestFragmentsCountAsFragments: any K of one scheme make a chunk, K of two schemes do not,
// and a fragment is no copy.
func TestFragmentsCountAsFragments(t *testing.T) {
	three, two := vstack.Scheme{K: 3, M: 2}, vstack.Scheme{K: 2, M: 2}
	type has struct {
		copies int
		of     map[vstack.Scheme][]uint8
	}
	for name, tc := range map[string]struct {
		has         has
		whole, lost bool
	}{
		"nothing":                          {has{}, false, true},
		"three copies":                     {has{copies: 3}, true, false},
		"one copy":                         {has{copies: 1}, false, false},
		"all fragments":                    {has{of: map[vstack.Scheme][]uint8{three: {0, 1, 2, 3, 4}}}, true, false},
		"enough fragments":                 {has{of: map[vstack.Scheme][]uint8{three: {0, 2, 4}}}, false, false},
		"one fragment thrice":              {has{of: map[vstack.Scheme][]uint8{three: {1, 1, 1}}}, false, true},
		"two of three, and one of another": {has{of: map[vstack.Scheme][]uint8{three: {0, 1}, two: {3}}}, false, true},
		"fragments on their way to copies": {has{copies: 1, of: map[vstack.Scheme][]uint8{three: {0, 1, 2, 3, 4}}}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			id := vstack.ChunkID{1}
			n := &named{index: map[vstack.ChunkID]int{id: 0}, chunks: []held{{id: id, size: 10}},
				films: []film{{video: vstack.Video{ID: vstack.VideoID{7}, Title: "A"}, chunks: []int{0, 0}}}}
			for range tc.has.copies {
				n.count([]wire.InventoryItem{{Chunk: id, Size: 10}})
			}
			for s, numbers := range tc.has.of {
				for _, i := range numbers {
					n.count([]wire.InventoryItem{{Chunk: id, Size: 10, Piece: vstack.Piece{Scheme: s, I: i}}, {Chunk: id, Size: 9}, {Chunk: vstack.ChunkID{2}, Size: 10}})
				}
			}
			var r Report
			r.tally(n)
			if (r.Few == 0) != tc.whole || (r.Lost == 1) != tc.lost {
				t.Errorf("%+v", r)
			}
			want := []Film{}
			if !tc.whole {
				want = append(want, Film{Video: vstack.VideoID{7}, Title: "A", Chunks: 2, Few: 2})
				if tc.lost {
					want[0].Lost = 2
				}
			}
			if !slices.Equal(r.Films, want) {
				t.Errorf("films %+v", r.Films)
			}
		})
	}
}
