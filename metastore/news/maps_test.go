package news

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// A page with the kept map has the same bytes as one whose map is encoded for it, and the next
// version is not answered with the last one's.
func TestAKeptMapIsWrittenAsItIs(t *testing.T) {
	var maps MapCache
	cluster := vstack.ClusterID{7}
	for version := uint64(4); version < 6; version++ {
		for range 2 {
			page := feed.Page{Index: 3, At: 9, More: true, Cluster: cluster, Placement: &vstack.PlacementMap{Version: version, Groups: []vstack.PGTargets{{Epoch: 1, Targets: []vstack.StoreID{{1}}}}}}
			want, err := page.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if page.PlacementJSON, err = maps.of(cluster, page.Placement); err != nil {
				t.Fatal(err)
			}
			if got, err := page.Append(nil); err != nil || !bytes.Equal(got, want) {
				t.Errorf("version %d: %x, %v, want %x", version, got, err, want)
			}
		}
	}
	// The map of another catalog may have the number of one of this.
	other := &vstack.PlacementMap{Version: 5}
	b, err := maps.of(vstack.ClusterID{8}, other)
	if want, _ := json.Marshal(other); err != nil || !bytes.Equal(b, want) {
		t.Errorf("another catalog's map is %s, %v, want %s", b, err, want)
	}
}

func TestAMapIsEncodedOnce(t *testing.T) {
	var maps MapCache
	m := &vstack.PlacementMap{Version: 4}
	first, err := maps.of(vstack.ClusterID{7}, m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := maps.of(vstack.ClusterID{7}, m)
	if err != nil || &first[0] != &again[0] {
		t.Errorf("version 4 was encoded twice, or %v", err)
	}
}
