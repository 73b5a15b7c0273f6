package quicclient

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// cool has every store hold its fragment of a chunk in place of a copy. A store that joins
// answers for the whole chunk, unless the reader can join.
func (c *cluster) cool(data []byte, joins bool) vstack.ChunkRef {
	c.t.Helper()
	ref := vstack.ChunkRef{Seq: 1, ID: vstack.ChunkIDOf(data), Size: uint32(len(data)), Leaves: vstack.LeavesOf(data).Root()}
	codec, err := erasure.New(vstack.DefaultScheme)
	if err != nil {
		c.t.Fatal(err)
	}
	fragments, err := codec.Encode(data)
	if err != nil {
		c.t.Fatal(err)
	}
	for i, s := range c.stores {
		s.mu.Lock()
		s.fragments = map[string][]byte{vstack.Piece{Scheme: vstack.DefaultScheme, I: uint8(i)}.String(): fragments[i]}
		if joins {
			s.joined = map[vstack.ChunkID][]byte{ref.ID: data}
		}
		s.leaves = vstack.LeavesOf(data)
		s.mu.Unlock()
	}
	return ref
}

// fragment answers as a datanode does: from what it holds alone.
func (s *fakeStore) fragment(w http.ResponseWriter, r *http.Request) {
	s.cluster.event("fragment", s)
	s.mu.Lock()
	data, ok := s.fragments[r.PathValue("scheme")+"/"+r.PathValue("number")]
	s.mu.Unlock()
	if !ok {
		s.absent(w)
		return
	}
	if r.Header.Get(wire.HeaderLeaves) != "" && s.leaves != nil {
		w.Header().Set(wire.HeaderLeaves, s.leaves.String())
	}
	_ = serveRange(w, r, data)
}

// absent is the refusal of a store without a copy: it names its fragments.
func (s *fakeStore) absent(w http.ResponseWriter) {
	var held []string
	for p := range s.fragments {
		held = append(held, p)
	}
	if len(held) > 0 {
		w.Header().Set(wire.HeaderFragments, strings.Join(held, ", "))
	}
	wire.WriteError(w, fmt.Errorf("chunk: %w", vstack.ErrNotFound))
}

// TestAColdChunkIsReadByRows: the first read is told by a 404, and those after it know.
func TestAColdChunkIsReadByRows(t *testing.T) {
	c := newCluster(t, 5)
	c.place(1, 1, c.ids(0, 1, 2, 3, 4)...)
	data := chunkOf(7, 700_001)
	ref := c.cool(data, false)
	cl := c.client(nil)
	var asked []int // requests for a copy, after each read
	for range 2 {
		got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
		if err != nil || !bytes.Equal(got.Data, data) {
			t.Fatalf("%d bytes, %v", len(got.Data), err)
		}
		if len(got.Sources) == 0 {
			t.Error("nobody brought it")
		}
		asked = append(asked, c.seen("get"))
	}
	if asked[0] == 0 || asked[1] != asked[0] {
		t.Errorf("%v requests for a copy: the first read asks for one, the second knows", asked)
	}
	cl.Hint(vstack.Video{ID: testVideo, Class: vstack.ClassHot}, &vstack.Manifest{})
	if !cl.lies.of(testSlot(1), 1<<20).IsZero() {
		t.Error("a hint that the film is hot is not taken")
	}
	if _, err := cl.Fetch(ctxFor(t), testSlot(1), ref); err != nil {
		t.Errorf("with a wrong hint: %v", err)
	}
}

// TestAHintSavesTheFirstRoundTrip: nobody is asked for a copy of what lies in fragments, nor
// for fragments of the first seconds, which stay copies.
func TestAHintSavesTheFirstRoundTrip(t *testing.T) {
	c := newCluster(t, 5)
	c.place(1, 1, c.ids(0, 1, 2, 3, 4)...)
	head, rest := c.put(chunkOf(20, 300_000), 0, 1, 2), c.cool(chunkOf(21, 300_000), false)
	head.Seq, rest.Seq, rest.Start = 1, 2, 9000
	m := &vstack.Manifest{Video: testVideo, Tracks: []vstack.Track{{Number: testSlot(1).Track, Kind: vstack.TrackVideo, Timescale: 1000, Chunks: []vstack.ChunkRef{head, rest}}}}
	cl := c.client(nil)
	cl.Hint(vstack.Video{ID: testVideo, Class: vstack.ClassCold, Layout: vstack.DefaultLayout}, m)
	var asked []int // requests for copies
	for _, ref := range m.Tracks[0].Chunks {
		got, err := cl.Fetch(ctxFor(t), testSlot(ref.Seq), ref)
		if err != nil || vstack.ChunkIDOf(got.Data) != ref.ID || got.Retries != 0 {
			t.Fatalf("chunk %d: %d bytes after %d retries, %v", ref.Seq, len(got.Data), got.Retries, err)
		}
		asked = append(asked, c.seen("get"))
	}
	if asked[0] == 0 || asked[1] != asked[0] {
		t.Errorf("%v requests for copies, want those of the head alone", asked)
	}
}

func TestAColdChunkIsReadWithAnyTwoStoresGone(t *testing.T) {
	for _, gone := range [][2]int{{0, 1}, {1, 4}, {3, 4}} {
		c := newCluster(t, 5)
		c.place(1, 1, c.ids(0, 1, 2, 3, 4)...)
		data := chunkOf(8, 300_000)
		ref := c.cool(data, false)
		for _, i := range gone {
			c.stores[i].stop()
		}
		got, err := c.client(nil).FetchAs(ctxFor(t), testSlot(1), ref, vstack.DefaultScheme)
		if err != nil || !bytes.Equal(got.Data, data) {
			t.Errorf("without %v: %d bytes, %v", gone, len(got.Data), err)
		}
	}
}

// TestARottenFragmentCostsARound: its rows do not match the leaves, and the stores that join
// find out whose it is.
func TestARottenFragmentCostsARound(t *testing.T) {
	for name, withLeaves := range map[string]bool{"leaves known": true, "leaves unknown": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3) // so that the rotten one is asked
			c.place(1, 1, c.ids(0, 1, 2)...)
			data := chunkOf(9, 500_000)
			ref := c.cool(data, true)
			if !withLeaves {
				ref.Leaves = vstack.LeafRoot{}
			}
			s := c.stores[1]
			s.mu.Lock()
			for _, b := range s.fragments {
				b[len(b)/2] ^= 1
			}
			s.mu.Unlock()
			got, err := c.client(nil).FetchAs(ctxFor(t), testSlot(1), ref, vstack.DefaultScheme)
			if err != nil || !bytes.Equal(got.Data, data) {
				t.Fatalf("%d bytes, %v", len(got.Data), err)
			}
		})
	}
}

// TestAHintOfFragmentsThatAreGoneIsForgotten: the film is hot again, and tails hold nothing.
func TestAHintOfFragmentsThatAreGoneIsForgotten(t *testing.T) {
	c := newCluster(t, 5)
	c.place(1, 1, c.ids(0, 1, 2, 3, 4)...)
	data := chunkOf(10, 200_000)
	ref := c.put(data, 0, 1, 2)
	cl := c.client(nil)
	cl.Hint(vstack.Video{ID: testVideo, Class: vstack.ClassCold, Layout: vstack.DefaultLayout}, &vstack.Manifest{})
	got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil || !bytes.Equal(got.Data, data) || !cl.lies.of(testSlot(1), 1<<20).IsZero() {
		t.Errorf("%d bytes, %v; the hint is %s", len(got.Data), err, cl.lies.of(testSlot(1), 1<<20))
	}
}

// TestWhatNobodyHasIsNotFound in either form.
func TestWhatNobodyHasIsNotFound(t *testing.T) {
	c := newCluster(t, 3)
	c.place(1, 1, c.ids(0, 1, 2)...)
	data := chunkOf(11, 1000)
	ref := vstack.ChunkRef{Seq: 1, ID: vstack.ChunkIDOf(data), Size: 1000}
	for _, scheme := range []vstack.Scheme{{}, vstack.DefaultScheme} {
		if _, err := c.client(nil).FetchAs(ctxFor(t), testSlot(1), ref, scheme); !errors.Is(err, vstack.ErrNotFound) {
			t.Errorf("in %q: %v", scheme, err)
		}
	}
}
