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

// newest opens a store that keeps fragments.
func newest(t *testing.T, cfg Config) *Store {
	t.Helper()
	s := openFirst(t, cfg)
	if err := s.Upgrade(context.Background(), max(format.NewestPlain, appendAs)); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantFragment(t *testing.T, s *Store, want Record) {
	t.Helper()
	got := make([]byte, len(want.Data))
	_, err := s.ReadPieceAt(context.Background(), want.Value.Chunk, want.Piece, got, 0)
	leaves, lerr := s.PieceLeaves(context.Background(), want.Value.Chunk, want.Piece)
	if err := errors.Join(err, lerr); err != nil || !bytes.Equal(got, want.Data) || !bytes.Equal(leaves, want.Leaves) {
		t.Errorf("fragment %s of %s: %v, the same bytes %v, the same table %v", want.Piece, want.Value.Chunk.Short(), err,
			bytes.Equal(got, want.Data), bytes.Equal(leaves, want.Leaves))
	}
	if info, ok := s.LookupPiece(want.Value.Chunk, want.Piece); !ok || info.Size != want.Value.Size || info.Piece != want.Piece {
		t.Errorf("fragment %s of %s: %+v, %v", want.Piece, want.Value.Chunk.Short(), info, ok)
	}
}

func TestFragmentsLiveBesideTheirChunk(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	s := newest(t, cfg)
	data := payload(1, 200_000)
	zero, four := fragment(data, 0, slotOf(1, 1)), fragment(data, 4, slotOf(1, 1))
	wide := fragment(data, 0, slotOf(1, 1))
	wide.Piece.Scheme = vstack.Scheme{K: 4, M: 2}
	wide.Data = payload(5, int(wide.Piece.Size(wide.Value.Size)))
	mustAppend(t, s, four, zero)
	mustAppend(t, s, wide)

	vote := voted(data, slotOf(1, 1), 0)
	vote.Kind, vote.Voted, vote.Data, vote.Leaves = KindVote, false, nil, nil
	if _, err := s.Append(context.Background(), vote); !errors.Is(err, vstack.ErrBytesMissing) {
		t.Errorf("a vote on fragments alone: %v", err)
	}
	if _, ok := s.Lookup(zero.Value.Chunk); ok {
		t.Error("fragments pass for the chunk")
	}
	mustAppend(t, s, stored(data))
	check := func(when string, want ...vstack.Piece) {
		t.Helper()
		var got []vstack.Piece
		for _, info := range s.Pieces(zero.Value.Chunk) {
			got = append(got, info.Piece)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: pieces %v, want %v", when, got, want)
		}
		for _, r := range []Record{zero, four, wide} {
			if slices.Contains(want, r.Piece) {
				wantFragment(t, s, r)
			} else if _, err := s.ReadPieceAt(context.Background(), r.Value.Chunk, r.Piece, make([]byte, 1), 0); !errors.Is(err, vstack.ErrNotFound) {
				t.Errorf("%s: fragment %s: %v", when, r.Piece, err)
			}
		}
		if n := len(s.Inventory(vstack.ChunkID{}, 10)); n != min(1, len(slices.Clone(want))) && want[0].IsChunk() {
			t.Errorf("%s: %d chunks in the inventory", when, n)
		}
		st := s.Stats()
		if whole := slices.Contains(want, vstack.Piece{}); st.Fragments+st.Chunks != len(want) || (st.Chunks == 1) != whole {
			t.Errorf("%s: counted %d chunks and %d fragments", when, st.Chunks, st.Fragments)
		}
	}
	again := func() {
		t.Helper()
		closeStore(t, s)
		s = openFirst(t, cfg)
	}
	check("stored", vstack.Piece{}, zero.Piece, four.Piece, wide.Piece)
	again()
	check("opened again", vstack.Piece{}, zero.Piece, four.Piece, wide.Piece)
	mustAppend(t, s, Record{Kind: KindDropFragment, Value: vstack.Value{Chunk: zero.Value.Chunk}, Piece: zero.Piece})
	check("a fragment dropped", vstack.Piece{}, four.Piece, wide.Piece)
	mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: zero.Value.Chunk}})
	check("the chunk dropped", four.Piece, wide.Piece)
	again()
	check("opened after drops", four.Piece, wide.Piece)
	mustAppend(t, s, zero)
	check("stored anew", zero.Piece, four.Piece, wide.Piece)
	closeStore(t, s)
}

func TestFragmentsAreListedByChunk(t *testing.T) {
	s := newest(t, testConfig(t, vfs.NewCrash(), "/store"))
	defer closeStore(t, s)
	want := map[vstack.ChunkID]int{}
	for i := range 30 {
		data := payload(uint64(i), 900)
		mustAppend(t, s, stored(data))
		for n := range i % 4 {
			mustAppend(t, s, fragment(data, uint8(n), slotOf(1, uint32(i))))
			want[vstack.ChunkIDOf(data)]++
		}
	}
	var after vstack.ChunkID
	pages := 0
	for page := s.Fragments(after, 4); len(page) > 0; page = s.Fragments(after, 4) {
		if pages++; len(page) > 4+2 {
			t.Errorf("a page of %d", len(page))
		}
		for _, info := range page {
			if c := bytes.Compare(info.ID[:], after[:]); c < 0 {
				t.Errorf("%s behind %s", info.ID.Short(), after.Short())
			}
			after = info.ID
			want[info.ID]--
		}
	}
	for id, n := range want {
		if n != 0 {
			t.Errorf("chunk %s: %d fragments too few", id.Short(), n)
		}
	}
	if pages < 8 {
		t.Errorf("%d pages", pages)
	}
}

func TestADamagedFragmentIsNamedAndReplaced(t *testing.T) {
	disk := vfs.NewCrash()
	s := newest(t, testConfig(t, disk, "/store"))
	defer closeStore(t, s)
	data := payload(1, 150_001)
	good, bad := fragment(data, 1, slotOf(1, 1)), fragment(data, 2, slotOf(1, 1))
	mustAppend(t, s, stored(data))
	mustAppend(t, s, good)
	mustAppend(t, s, bad)
	e, _ := s.ix.Piece(bad.Value.Chunk, bad.Piece)
	flip(t, disk, s.files[e.File].path, e.Offset()+e.Shape().HeaderLen()+40_000, 4)
	var named []vstack.Piece
	scrub := func() ScrubReport {
		t.Helper()
		named = nil
		r, err := s.Scrub(context.Background(), 0, func(id vstack.ChunkID, p vstack.Piece, _ error) {
			if named = append(named, p); id != bad.Value.Chunk {
				t.Errorf("chunk %s is called bad", id.Short())
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := scrub(); r.Bad != 1 || r.Chunks != 3 || !slices.Equal(named, []vstack.Piece{bad.Piece}) {
		t.Errorf("scrub found %+v, named %v", r, named)
	}
	if info, ok := s.LookupPiece(bad.Value.Chunk, bad.Piece); ok || !info.Bad {
		t.Errorf("the damaged fragment is looked up as %+v, %v", info, ok)
	}
	if _, err := s.ReadPieceAt(context.Background(), bad.Value.Chunk, bad.Piece, make([]byte, 10), 0); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("the damaged fragment is read: %v", err)
	}
	if st := s.Stats(); st.BadFragments != 1 || st.BadChunks != 0 || st.Fragments != 2 {
		t.Errorf("stats %+v", st)
	}
	wantFragment(t, s, good)
	wantChunk(t, s, data)
	mustAppend(t, s, bad)
	wantFragment(t, s, bad)
	if st := s.Stats(); st.BadFragments != 0 || st.Fragments != 2 {
		t.Errorf("stored anew: %+v", st)
	}
	if r := scrub(); r.Bad != 0 || r.Rot != 1 || len(named) != 0 { // the old record is of no account
		t.Errorf("a scrub after it found %+v, named %v", r, named)
	}
}

// TestACondemnedFragmentIsAsBadAsADamagedOne, but for whoever opens the store anew: what is
// wrong with it is not in its checksums.
func TestACondemnedFragmentIsAsBadAsADamagedOne(t *testing.T) {
	s := newest(t, testConfig(t, vfs.NewCrash(), "/store"))
	defer closeStore(t, s)
	bad := fragment(payload(1, 150_001), 2, slotOf(1, 1))
	mustAppend(t, s, bad)
	for range 2 {
		s.Condemn(bad.Value.Chunk, bad.Piece, errors.New("the others make another chunk"))
	}
	s.Condemn(bad.Value.Chunk, vstack.Piece{}, errors.New("not here"))
	if info, ok := s.LookupPiece(bad.Value.Chunk, bad.Piece); ok || !info.Bad || len(s.Findings()) != 1 {
		t.Errorf("looked up as %+v, %v; findings %+v", info, ok, s.Findings())
	}
	mustAppend(t, s, bad)
	wantFragment(t, s, bad)
}

// TestCompactionMovesFragmentsAsTheyAre from a file of version 3 and of version 2, with the
// leaf tables that came with them; one that is damaged is given up alone.
func TestCompactionMovesFragmentsAsTheyAre(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	cfg.GarbageRatio = 0.2
	s := openFirst(t, cfg)
	if err := s.Upgrade(context.Background(), format.V2); err != nil {
		t.Fatal(err)
	}
	old := stored(payload(100, 70_001))
	mustAppend(t, s, old, stored(payload(101, 70_002)))
	mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(payload(101, 70_002))}})
	if err := s.Upgrade(context.Background(), format.V3); err != nil {
		t.Fatal(err)
	}
	var keep []Record
	for i := range 24 {
		r := fragment(payload(uint64(i), 90_001+i), uint8(i%5), slotOf(1, uint32(i)))
		mustAppend(t, s, r)
		if i%2 == 0 {
			keep = append(keep, r)
		} else {
			mustAppend(t, s, Record{Kind: KindDropFragment, Value: r.Value, Piece: r.Piece})
		}
	}
	lsn, _ := s.LookupPiece(keep[0].Value.Chunk, keep[0].Piece)
	e, _ := s.ix.Piece(keep[1].Value.Chunk, keep[1].Piece)
	shape := e.Shape()
	flip(t, disk, s.files[e.File].path, e.Offset()+shape.LeavesOff()+8, 1) // of its table alone
	report, err := s.Compact(context.Background())
	if err != nil || report.Files < 3 || report.Kept != 0 {
		t.Fatalf("compacted %+v, %v", report, err)
	}
	keep[1].Leaves = nil
	check := func() {
		t.Helper()
		for _, r := range keep {
			wantFragment(t, s, r)
		}
		wantChunk(t, s, old.Data)
		if info, _ := s.LookupPiece(keep[0].Value.Chunk, keep[0].Piece); info.LSN != lsn.LSN {
			t.Errorf("LSN %d became %d", lsn.LSN, info.LSN)
		}
		if st := s.Stats(); st.Fragments != len(keep) || st.Chunks != 1 {
			t.Errorf("%+v", st)
		}
	}
	check()
	closeStore(t, s)
	s = openFirst(t, cfg)
	check()
	closeStore(t, s)
}
