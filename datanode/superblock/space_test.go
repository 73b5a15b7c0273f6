package superblock

import (
	"context"
	"testing"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// sealedBytes are what sealed files take, and what of it counts.
func sealedBytes(s *Store) (size, live int64) {
	s.ix.RLock()
	defer s.ix.RUnlock()
	for id, b := range s.files {
		if b.sealed {
			u := s.ix.Usage(id)
			size, live = size+b.size, live+u.Live+u.Tombs
		}
	}
	return size, live
}

// TestSpaceComesBack drops three of ten chunks that lie between others, as films that cool
// do, stores fragments of them, and drops a whole film at last. After each pass sealed files
// take what counts in them and the overhead that was asked for, and two percent for pages,
// headers and footers; and a pass that follows has nothing to do.
func TestSpaceComesBack(t *testing.T) {
	for name, overhead := range map[string]float64{"by default": 0, "at 3 %": 0.03, "a quarter": 0.25} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, vfs.NewCrash(), "/store")
			cfg.SuperblockSize, cfg.Reserve, cfg.Overhead = 4<<20, 4<<20, overhead
			s := newest(t, cfg)
			defer closeStore(t, s)
			want := overhead
			if want == 0 {
				want = 0.1
			}
			var chunks [][]byte
			for i := range 200 {
				chunks = append(chunks, payload(uint64(i), 180_000+i))
				mustAppend(t, s, voted(chunks[i], slotOf(byte(1+i%10), uint32(i)), 0))
			}
			pass := func(what string) CompactReport {
				t.Helper()
				before, _ := sealedBytes(s)
				report, err := s.Compact(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				size, live := sealedBytes(s)
				t.Logf("%s: %d bytes became %d, of which %d count (%.3f); %+v", what, before, size, live, float64(size)/float64(live), report)
				if got := float64(size) / float64(live); got > 1+want+0.02 {
					t.Errorf("%s: files take %.3f times what counts in them, want %.2f", what, got, 1+want)
				}
				if again, err := s.Compact(context.Background()); err != nil || again.Files != 0 {
					t.Errorf("%s: a second pass did %+v, %v", what, again, err)
				}
				return report
			}
			drop := func(film int) {
				for i := film; i < len(chunks); i += 10 {
					mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(chunks[i])}})
				}
			}
			if r := pass("all there"); r.Files != 0 {
				t.Errorf("files in which all counts were written anew: %+v", r)
			}
			for film := range 3 {
				for i := film; i < len(chunks); i += 10 {
					mustAppend(t, s, fragment(chunks[i], uint8(i%5), slotOf(byte(1+film), uint32(i))))
				}
				drop(film)
				pass("a film cooled")
			}
			for film := 3; film < 9; film++ {
				drop(film)
			}
			if r := pass("six films deleted"); r.Freed < 15<<20 {
				t.Errorf("%d bytes came back", r.Freed)
			}
			for i, c := range chunks {
				if i%10 == 9 {
					wantChunk(t, s, c)
				}
				if i%10 < 3 {
					wantFragment(t, s, fragment(c, uint8(i%5), slotOf(byte(1+i%10), uint32(i))))
				}
			}
			if n := len(stateOf(s)); n != len(chunks) {
				t.Errorf("%d votes, want %d", n, len(chunks))
			}
		})
	}
}

// TestShortSpaceIsTakenBackToTheLastFile: below a sixteenth of the capacity no garbage is
// worth keeping.
func TestShortSpaceIsTakenBackToTheLastFile(t *testing.T) {
	cfg := testConfig(t, vfs.NewCrash(), "/store")
	cfg.SuperblockSize, cfg.Reserve = 1<<20, 1<<20
	cfg.Overhead = 10 // more than there will ever be
	fill := func(capacity int64) *Store {
		cfg.FS, cfg.Capacity = vfs.NewCrash(), capacity
		s := newest(t, cfg)
		for i := range 60 {
			data := payload(uint64(i), 150_000)
			mustAppend(t, s, stored(data))
			if i%4 == 0 {
				mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(data)}})
			}
		}
		return s
	}
	roomy, short := fill(100<<20), fill(11<<20)
	defer closeStore(t, roomy)
	defer closeStore(t, short)
	for s, want := range map[*Store]bool{roomy: false, short: true} {
		if r, err := s.Compact(context.Background()); err != nil || (r.Files > 0) != want {
			t.Errorf("with %d bytes free: compacted %+v, %v", s.Stats().Free, r, err)
		}
	}
	if size, live := sealedBytes(short); float64(size) > 1.05*float64(live) {
		t.Errorf("%d bytes for %d", size, live)
	}
}
