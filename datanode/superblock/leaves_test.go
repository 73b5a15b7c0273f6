package superblock

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// upgraded is a store that keeps leaf tables.
func upgraded(t *testing.T, disk vfs.FS) (*Store, Config) {
	t.Helper()
	cfg := testConfig(t, disk, "/store")
	cfg.GarbageRatio = 0.9
	s := open(t, cfg)
	if err := s.Upgrade(context.Background(), format.V2); err != nil {
		t.Fatal(err)
	}
	return s, cfg
}

func TestALeafTableComesBackAsItWasStored(t *testing.T) {
	disk := vfs.NewCrash()
	s, cfg := upgraded(t, disk)
	with, without := payload(1, 150_001), payload(2, 90_000)
	rec := stored(with)
	rec.Leaves = vstack.LeavesOf(with)
	bare := stored(without)
	bare.Leaves = nil
	mustAppend(t, s, rec)
	mustAppend(t, s, bare)
	check := func(s *Store) {
		t.Helper()
		for i, b := range [][]byte{with, without} {
			want := vstack.LeavesOf(b)
			if i == 1 {
				want = nil
			}
			if got, err := s.LeafTable(context.Background(), vstack.ChunkIDOf(b)); err != nil || !slices.Equal(got, want) {
				t.Errorf("%d bytes: %d leaves, %v", len(b), got.Len(), err)
			}
			got := make([]byte, len(b))
			if _, err := s.ReadAt(context.Background(), vstack.ChunkIDOf(b), got, 0); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%d bytes read back otherwise: %v", len(b), err)
			}
		}
	}
	check(s)
	e, _ := s.ix.Chunk(rec.Value.Chunk)
	f, _ := s.ix.Chunk(bare.Value.Chunk)
	if !e.HasLeaves() || f.HasLeaves() {
		t.Errorf("kept a table: %v and %v, want the one that came", e.HasLeaves(), f.HasLeaves())
	}
	closeStore(t, s)
	s = open(t, cfg)
	defer closeStore(t, s)
	check(s)
	if _, err := s.LeafTable(context.Background(), vstack.ChunkID{1}); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("the table of no chunk: %v", err)
	}
}

// TestAWrongLeafTableIsGivenUp stores a table that is not the chunk's, as a faulty or
// hostile writer would, and one that rots. Neither costs the chunk.
func TestAWrongLeafTableIsGivenUp(t *testing.T) {
	wrong := func(t *testing.T, s *Store, disk *vfs.Crash) vstack.ChunkID {
		data := payload(3, 100_001)
		rec := stored(data)
		rec.Leaves = vstack.LeavesOf(payload(4, 100_001))
		mustAppend(t, s, rec)
		return rec.Value.Chunk
	}
	rotten := func(t *testing.T, s *Store, disk *vfs.Crash) vstack.ChunkID {
		data := payload(3, 100_001)
		rec := stored(data)
		rec.Leaves = vstack.LeavesOf(data)
		mustAppend(t, s, rec)
		e, _ := s.ix.Chunk(rec.Value.Chunk)
		flip(t, disk, s.files[e.File].path, e.Offset()+e.Shape().LeavesOff()+5, 1)
		return rec.Value.Chunk
	}
	scrub := func(t *testing.T, s *Store, _ vstack.ChunkID) {
		if r, err := s.Scrub(context.Background(), 0, func(id vstack.ChunkID, _ vstack.Piece, err error) {
			t.Errorf("chunk %s is called bad: %v", id.Short(), err)
		}); err != nil || r.Bad != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	ask := func(t *testing.T, s *Store, id vstack.ChunkID) {
		if got, err := s.LeafTable(context.Background(), id); err != nil || got != nil {
			t.Errorf("a rotten table is answered as %d leaves, %v", got.Len(), err)
		}
	}
	for _, how := range []struct {
		name  string
		spoil func(*testing.T, *Store, *vfs.Crash) vstack.ChunkID
		find  func(*testing.T, *Store, vstack.ChunkID)
	}{
		{"wrong, found by a scrub", wrong, scrub}, {"rotten, found by a scrub", rotten, scrub}, {"rotten, found when asked", rotten, ask},
	} {
		t.Run(how.name, func(t *testing.T) {
			disk := vfs.NewCrash()
			s, _ := upgraded(t, disk)
			defer closeStore(t, s)
			id := how.spoil(t, s, disk)
			right := vstack.LeavesOf(payload(3, 100_001))
			how.find(t, s, id)
			if n := len(s.Findings()); n != 1 || s.Findings()[0].Kind != FindRot {
				t.Errorf("findings: %+v", s.Findings())
			}
			how.find(t, s, id)
			if n := len(s.Findings()); n != 1 {
				t.Errorf("found again: %+v", s.Findings())
			}
			if got, err := s.LeafTable(context.Background(), id); err != nil || got != nil {
				t.Errorf("still answers a table that is not the chunk's, or %v", err)
			}
			// Fill the file, so that it is sealed, and have it renewed.
			for i := range 4 {
				mustAppend(t, s, stored(payload(uint64(10+i), 60_000)))
			}
			if r, err := s.Compact(context.Background()); err != nil || r.Files == 0 {
				t.Fatalf("compacted %+v, %v", r, err)
			}
			if e, _ := s.ix.Chunk(id); !e.HasLeaves() {
				t.Error("the copy has no table")
			}
			if got, err := s.LeafTable(context.Background(), id); err != nil || !slices.Equal(got, right) {
				t.Errorf("after compaction: %v", err)
			}
			if _, err := s.ReadAt(context.Background(), id, make([]byte, 100_001), 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestABadChunkStaysBadWhateverItsTable: a doubted table must not keep the chunk from being
// marked.
func TestABadChunkStaysBadWhateverItsTable(t *testing.T) {
	disk := vfs.NewCrash()
	s, _ := upgraded(t, disk)
	defer closeStore(t, s)
	data := payload(3, 100_001)
	rec := stored(data)
	rec.Leaves = vstack.LeavesOf(payload(4, 100_001))
	mustAppend(t, s, rec)
	id := rec.Value.Chunk
	if _, err := s.Scrub(context.Background(), 0, func(id vstack.ChunkID, _ vstack.Piece, err error) { t.Errorf("%s: %v", id, err) }); err != nil {
		t.Fatal(err)
	}
	e, _ := s.ix.Chunk(id)
	flip(t, disk, s.files[e.File].path, e.Offset()+e.Shape().HeaderLen()+7, 1)
	var found []vstack.ChunkID
	if _, err := s.Scrub(context.Background(), 0, func(id vstack.ChunkID, _ vstack.Piece, _ error) { found = append(found, id) }); err != nil {
		t.Fatal(err)
	}
	if info, ok := s.Lookup(id); ok || !info.Bad || len(found) != 1 {
		t.Errorf("%+v, %v; scrub told of %d", info, ok, len(found))
	}
}
