package vstack

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares b with a file of testdata.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("%s: bytes of the format changed:\n got %.400q\nwant %.400q", name, b, want)
	}
}

// patterned is a chunk that any language can make: byte i is i·i + i/251, modulo 256.
func patterned(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*i + i/251)
	}
	return b
}

// TestLeavesAreThoseOfTheGoldenFile holds the hashes and the text form to a file that the
// browser's code reads too.
func TestLeavesAreThoseOfTheGoldenFile(t *testing.T) {
	type row struct {
		Size  int      `json:"size"`
		Chunk ChunkID  `json:"chunk"`
		Table string   `json:"table"`
		Root  LeafRoot `json:"root"`
	}
	var rows []row
	for _, size := range []int{1, 64, LeafSize - 1, LeafSize, LeafSize + 1, 3*LeafSize + 17, ChunkSize} {
		b := patterned(size)
		table := LeavesOf(b)
		if err := table.Check(uint32(size), table.Root()); err != nil {
			t.Fatal(err)
		}
		back, err := ParseLeafTable(table.String(), uint32(size))
		if err != nil || !bytes.Equal(back, table) {
			t.Fatalf("%d bytes: the table came back as %q, %v", size, back, err)
		}
		rows = append(rows, row{size, ChunkIDOf(b), table.String(), table.Root()})
	}
	b, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "leaves.json", append(b, '\n'))
}

func TestARangeIsVerifiedByItsLeaves(t *testing.T) {
	const size = 5*LeafSize + 100
	chunk := patterned(size)
	table := LeavesOf(chunk)
	for _, r := range []struct{ off, end uint32 }{{0, size}, {0, LeafSize}, {LeafSize, 3 * LeafSize}, {5 * LeafSize, size}, {4 * LeafSize, size}, {2 * LeafSize, 2 * LeafSize}} {
		if err := table.Verify(size, r.off, chunk[r.off:r.end]); err != nil {
			t.Errorf("%d to %d: %v", r.off, r.end, err)
		}
		for at := r.off; at < r.end; at += 40_000 {
			bad := bytes.Clone(chunk[r.off:r.end])
			bad[at-r.off] ^= 1
			if err := table.Verify(size, r.off, bad); !errors.Is(err, ErrHashMismatch) {
				t.Errorf("%d to %d with byte %d changed: %v", r.off, r.end, at, err)
			}
		}
	}
	for _, r := range []struct{ off, end uint32 }{{1, LeafSize}, {0, LeafSize - 1}, {LeafSize, 2*LeafSize + 1}, {5 * LeafSize, size - 1}} {
		if err := table.Verify(size, r.off, chunk[r.off:r.end]); !errors.Is(err, ErrRangeInvalid) {
			t.Errorf("%d to %d, which are no whole leaves: %v", r.off, r.end, err)
		}
	}
	if err := table.Verify(size, 5*LeafSize, append(bytes.Clone(chunk[5*LeafSize:]), 0)); !errors.Is(err, ErrRangeInvalid) {
		t.Errorf("a byte behind the chunk: %v", err)
	}
	if err := table[:len(table)-32].Verify(size, 0, chunk[:LeafSize]); !errors.Is(err, ErrInvalid) {
		t.Errorf("a table that is too short: %v", err)
	}
}

func TestALeafTableThatIsNotTheChunksProvesNothing(t *testing.T) {
	chunk := patterned(2 * LeafSize)
	table := LeavesOf(chunk)
	other := bytes.Clone(table)
	other[40] ^= 1
	for name, err := range map[string]error{
		"another table":   LeafTable(other).Check(2*LeafSize, table.Root()),
		"another size":    table.Check(2*LeafSize+1, table.Root()),
		"no table":        LeafTable(nil).Check(2*LeafSize, table.Root()),
		"no root is one":  table.Check(2*LeafSize, LeafRoot{}),
		"of a giant":      make(LeafTable, (MaxLeaves+1)*32).Check(MaxChunkSize+1, LeafRoot{}),
		"a swapped order": LeafTable(append(bytes.Clone(table[32:]), table[:32]...)).Check(2*LeafSize, table.Root()),
	} {
		if !errors.Is(err, ErrHashMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]string{
		"no base64": "§", "spaces in it": " " + table.String(), "no padding": strings.TrimRight(table.String(), "="),
		"a line end": table.String() + "\n", "too long": strings.Repeat("A", 1<<20), "empty": "",
	} {
		if _, err := ParseLeafTable(s, 2*LeafSize); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRangesAreWidenedToWholeLeaves(t *testing.T) {
	const size = 3*LeafSize + 5
	for _, c := range []struct{ off, length, from, to uint32 }{
		{0, size, 0, size},
		{1, 1, 0, LeafSize},
		{LeafSize - 1, 2, 0, 2 * LeafSize},
		{LeafSize, LeafSize, LeafSize, 2 * LeafSize},
		{3 * LeafSize, 1, 3 * LeafSize, size},
		{2*LeafSize + 1, 1 << 31, 2 * LeafSize, size},
		{0, 0, 0, 0},
	} {
		if from, to := LeafRange(size, c.off, c.length); from != c.from || to != c.to {
			t.Errorf("%d bytes at %d: %d to %d, want %d to %d", c.length, c.off, from, to, c.from, c.to)
		}
	}
}
