package garbage

import (
	"slices"
	"testing"
)

// file has so many percent of 100 MB live, in records of 700 kB.
func file(id uint32, live int64) File {
	return File{ID: id, Size: 4096 + 100<<20 + 150*200 + 64, Live: live << 20, Records: 150, Entry: 200}
}

func TestChoose(t *testing.T) {
	rotten := file(9, 100)
	rotten.Rewrite = true
	for name, tc := range map[string]struct {
		files    []File
		overhead float64
		want     []uint32
	}{
		"nothing":                               {nil, 0.1, nil},
		"all that counts":                       {[]File{file(1, 100), file(2, 99)}, 0.1, nil},
		"below the target":                      {[]File{file(1, 100), file(2, 85)}, 0.1, nil},
		"down to the target, worst first":       {[]File{file(1, 70), file(2, 90), file(3, 40), file(4, 95)}, 0.1, []uint32{3, 1}},
		"a third of every file":                 {[]File{file(1, 70), file(2, 70), file(3, 70)}, 0.1, []uint32{1, 2, 3}},
		"all that is worth it when it is short": {[]File{file(1, 99), file(2, 97), file(3, 100)}, 0, []uint32{2}},
		"an empty file among full ones":         {[]File{file(1, 100), file(2, 0)}, 0.1, []uint32{2}},
		"rot, whatever it has":                  {[]File{file(1, 100), rotten}, 0.1, []uint32{9}},
	} {
		if got := Choose(tc.files, tc.overhead, 1.0/64); !slices.Equal(got, tc.want) {
			t.Errorf("%s: files %v, want %v", name, got, tc.want)
		}
	}
}

// TestAFileThatWasJustWrittenIsNotGarbage: of votes the footer takes as much as the records.
func TestAFileThatWasJustWrittenIsNotGarbage(t *testing.T) {
	const n = 10_000
	data := int64(n*192 + 4096)
	votes := File{ID: 1, Size: 4096 + data + n*200 + 64, Live: n * 192, Records: n, Entry: 200}
	if got := Choose([]File{votes}, 0, 1.0/64); got != nil {
		t.Errorf("chosen with %d bytes of garbage of %d", votes.Garbage(), votes.Size)
	}
	votes.Live /= 2
	if got, want := votes.Garbage(), votes.Size/2; got < want*9/10 || got > want*11/10 {
		t.Errorf("half of it went: %d bytes of garbage of %d", got, votes.Size)
	}
}

func TestLessGarbageIsLeftTheShorterSpaceIs(t *testing.T) {
	const gb = 1 << 30
	for name, c := range map[string]struct {
		free, capacity int64
		want           float64
	}{
		"empty disk":                     {160 * gb, 160 * gb, 0.1},
		"a quarter is free":              {40 * gb, 160 * gb, 0.1},
		"half way":                       {25 * gb, 160 * gb, 0.05},
		"a sixteenth is free":            {10 * gb, 160 * gb, 0},
		"full":                           {0, 160 * gb, 0},
		"a small disk without two files": {2 * gb, 8 * gb, 0},
		"a small disk with three":        {3 * gb, 8 * gb, 0.05},
	} {
		if got := Overhead(0.1, c.free, c.capacity, gb); got != c.want {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
}
