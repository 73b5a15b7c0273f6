package flips

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
)

// filled is the directory of a closed store with sealed files, votes and dead chunks.
func filled(t testing.TB) (dir string, live map[vstack.ChunkID]vstack.LSN) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	s, err := superblock.Open(t.Context(), superblock.Config{Dir: dir, SuperblockSize: 256 << 10, Reserve: 256 << 10, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	live = map[vstack.ChunkID]vstack.LSN{}
	for i := range 30 {
		data := make([]byte, 10_000+i*1000)
		data[0] = byte(i)
		v := vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}
		recs := []superblock.Record{{Kind: superblock.KindChunk, Value: v, Data: data}}
		if i%3 == 0 {
			recs = append(recs, superblock.Record{Kind: superblock.KindMinimum, Upload: vstack.UploadID{byte(i + 1)}, Ballot: vstack.Ballot{Incarnation: 1}})
		}
		lsn, err := s.Append(t.Context(), recs...)
		if err != nil {
			t.Fatal(err)
		}
		if i%5 != 4 {
			live[v.Chunk] = lsn - vstack.LSN(len(recs)-1)
		} else if _, err := s.Append(t.Context(), superblock.Record{Kind: superblock.KindDrop, Value: vstack.Value{Chunk: v.Chunk}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, live
}

func TestMapLeavesNoByteOut(t *testing.T) {
	dir, live := filled(t)
	m, err := ReadMap(dir, func(id vstack.ChunkID, lsn vstack.LSN) bool { return live[id] == lsn })
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Region]int{}
	chunks := map[vstack.ChunkID]bool{}
	for _, f := range m.files {
		info, err := os.Stat(f.path)
		if err != nil {
			t.Fatal(err)
		}
		var at int64
		for _, s := range f.spans {
			if s.from != at || s.to <= s.from {
				t.Fatalf("%s: span %+v behind %d", f.path, s, at)
			}
			at = s.to
			seen[s.region]++
			if s.region == ChunkData {
				chunks[s.chunk] = true
			}
		}
		if at != info.Size() {
			t.Errorf("%s: mapped %d of %d bytes", f.path, at, info.Size())
		}
	}
	if len(chunks) != len(live) {
		t.Errorf("%d live chunks mapped, want %d", len(chunks), len(live))
	}
	for _, r := range []Region{Identity, FileHeader, ChunkHeader, ChunkData, ChunkPadding, DeadChunk, StateRecord, GroupPadding, Footer, Reserved} {
		if seen[r] == 0 {
			t.Errorf("no %s: %v", r, seen)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, quiet := range []bool{true, false} {
		for _, p := range m.Pick(rng, 200, quiet) {
			if (p.Region.Harmless() != "") != quiet {
				t.Fatalf("quiet %v picked %s", quiet, p)
			}
		}
	}
}

// TestMapOfDamagedFiles maps files of which a few bytes are anything: the regions follow
// each other and end with the file.
func TestMapOfDamagedFiles(t *testing.T) {
	dir, _ := filled(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.vsb"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		b := append([]byte(nil), whole[:1+rng.IntN(min(len(whole), 40<<10))]...)
		for range rng.IntN(6) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		spans, err := mapFile(b, func(_ vstack.ChunkID, lsn vstack.LSN) bool { return lsn%2 == 0 })
		if err != nil {
			continue // the header of the file is gone
		}
		var end int64
		for _, s := range spans {
			if s.from != end || s.to <= s.from {
				t.Fatalf("span %+v behind %d", s, end)
			}
			end = s.to
		}
		if end != int64(len(b)) {
			t.Fatalf("mapped %d of %d bytes", end, len(b))
		}
	}
}

func TestFlipIsPutBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte{1, 2, 3}, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := flip(Place{File: path, Offset: 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); b[1] != 2^16 {
		t.Fatalf("flipped to %d", b[1])
	}
	if err := d.restore(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "\x01\x02\x03" {
		t.Errorf("restored to %v", b)
	}
	// What the store has written since is not touched.
	if d, err = flip(Place{File: path, Offset: 2}, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte{7, 8, 9}, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.restore(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "\x07\x08\x09" {
		t.Errorf("overwritten: %v", b)
	}
}

func TestJudgeTellsMissedFlips(t *testing.T) {
	at := func(off int64, r Region) *flipped {
		return &flipped{Place: Place{File: os.Args[0], Offset: off, Region: r}}
	}
	info, err := os.Stat(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	all := []*flipped{at(10, ChunkData), at(20, ChunkData), at(30, ChunkData), at(40, Reserved)}
	for _, d := range all {
		d.file = info
	}
	r := &Result{Regions: map[Region]*Count{}}
	r.judge(all, []Finding{{os.Args[0], 0, 11}}, []Finding{{os.Args[0], 20, 10}})
	if c := *r.Regions[ChunkData]; c != (Count{Flips: 3, Read: 1, Scrubbed: 1, Missed: 1}) || r.Missed != 1 || r.Flips != 4 {
		t.Errorf("%+v, %+v", c, r)
	}
}

func TestFindingsAreReadFromALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(s string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	line := func(off string) string {
		return `time=2026-01-01T00:00:00Z level=WARN msg="store damage" host=h1 kind=chunk file=/d/1.vsb offset=` + off + " length=64 err=\"x offset y\"\n"
	}
	write(line("1"))
	next, err := Log(path)
	if err != nil {
		t.Fatal(err)
	}
	write("something else\n" + line("4096") + line("5000")[:40])
	if got, err := next(); err != nil || len(got) != 1 || got[0] != (Finding{"/d/1.vsb", 4096, 64}) {
		t.Errorf("%v, %v", got, err)
	}
	write(line("5000")[40:])
	if got, err := next(); err != nil || len(got) != 1 || got[0].Offset != 5000 {
		t.Errorf("%v, %v", got, err)
	}
}
