package erasure

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

var update = flag.Bool("update", false, "write testdata anew")

// sizes are chunks around every edge of a row, and those that there are.
var sizes = []int{1, 2, 3, 4, vstack.LeafSize - 1, vstack.LeafSize, 3*vstack.LeafSize - 1, 3 * vstack.LeafSize, 3*vstack.LeafSize + 1,
	5*vstack.LeafSize + 77, 6*vstack.LeafSize + 2, vstack.ChunkSize}

// payload is n bytes that depend on the seed alone.
func payload(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // it never fails
	return b
}

func valueOf(b []byte) vstack.Value {
	return vstack.Value{Chunk: vstack.ChunkIDOf(b), Size: uint32(len(b))}
}

func codec(t testing.TB, s vstack.Scheme) *Codec {
	t.Helper()
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, c *Codec, chunk []byte) [][]byte {
	t.Helper()
	out, err := c.Encode(chunk)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGolden holds the bytes of fragments, which lie on disks for years, to testdata.
func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, s := range []vstack.Scheme{{K: 3, M: 2}, {K: 4, M: 2}, {K: 10, M: 4}} {
		for _, size := range []int{1, 10, vstack.LeafSize, 3*vstack.LeafSize + 1, vstack.ChunkSize} {
			fmt.Fprintf(&b, "%s of %d bytes:", s, size)
			for i, f := range encode(t, codec(t, s), payload(uint64(size), size)) {
				if len(f) <= 4 {
					fmt.Fprintf(&b, " %d=%x", i, f)
				} else {
					fmt.Fprintf(&b, " %d=%d:%x", i, len(f), sha256.Sum256(f))
				}
			}
			b.WriteByte('\n')
		}
	}
	path := filepath.Join("testdata", "fragments.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("fragments are not what stores have on disk:\n%s\nwant\n%s", b.String(), want)
	}
}

func TestAnyKMakeTheChunk(t *testing.T) {
	c := codec(t, vstack.DefaultScheme)
	for _, size := range sizes {
		chunk := payload(7, size)
		all := encode(t, c, chunk)
		choices := 0
		without([]int{0, 1, 2, 3, 4}, 2, func(rest []int) bool {
			choices++
			some := make([][]byte, 5)
			for _, i := range rest {
				some[i] = bytes.Clone(all[i])
			}
			got, err := c.Decode(valueOf(chunk), some)
			if err != nil || !bytes.Equal(got, chunk) {
				t.Errorf("%d bytes of fragments %v: %v", size, rest, err)
			}
			for _, i := range rest {
				if !bytes.Equal(some[i], all[i]) {
					t.Errorf("decoding changed fragment %d", i)
				}
			}
			return true
		})
		if choices != 10 {
			t.Errorf("%d choices of 3 in 5", choices)
		}
	}
}

func TestOneFragmentIsThatOfAll(t *testing.T) {
	for _, s := range []vstack.Scheme{{K: 3, M: 2}, {K: 1, M: 2}, {K: 9, M: 7}} {
		c := codec(t, s)
		for _, size := range sizes {
			chunk := payload(3, size)
			for i, want := range encode(t, c, chunk) {
				got, err := c.Fragment(chunk, uint8(i))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%s of %d bytes, fragment %d: %v", s, size, i, err)
				}
				if len(got) != int(s.FragmentSize(uint32(size))) {
					t.Fatalf("%s of %d bytes, fragment %d has %d bytes", s, size, i, len(got))
				}
			}
		}
	}
}

func TestEveryRowIsDecodedByItself(t *testing.T) {
	c := codec(t, vstack.DefaultScheme)
	for _, size := range sizes {
		chunk := payload(5, size)
		all := encode(t, c, chunk)
		var got []byte
		for r := range c.Scheme().Rows(uint32(size)) {
			row := c.Scheme().Row(uint32(size), r)
			parts := make([][]byte, 5)
			for _, i := range []int{r % 3, 3, 4} { // one of the data, and both parities
				parts[i] = all[i][row.At : row.At+row.Width]
			}
			b, err := c.DecodeRow(uint32(size), r, parts)
			if err != nil {
				t.Fatalf("%d bytes, row %d: %v", size, r, err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, chunk) {
			t.Errorf("the rows of %d bytes are not the chunk", size)
		}
	}
}

func TestARottenFragmentIsFound(t *testing.T) {
	chunk := payload(9, 5*vstack.LeafSize+77)
	v := valueOf(chunk)
	for name, tc := range map[string]struct {
		missing, rot []int
		fails        bool
	}{
		"none":                       {},
		"the first":                  {rot: []int{0}},
		"a parity":                   {rot: []int{4}},
		"two of five":                {rot: []int{1, 3}},
		"one of four":                {missing: []int{0}, rot: []int{2}},
		"one of three":               {missing: []int{0, 1}, rot: []int{2}, fails: true},
		"three of five, and no more": {rot: []int{0, 1, 2}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := codec(t, vstack.DefaultScheme)
			some := encode(t, c, chunk)
			for _, i := range tc.missing {
				some[i] = nil
			}
			for _, i := range tc.rot {
				some[i][len(some[i])-1-i] ^= 0x40
			}
			got, rotten, err := c.Mend(v, some)
			if tc.fails {
				if !errors.Is(err, vstack.ErrHashMismatch) {
					t.Errorf("mended: %v", err)
				}
				return
			}
			var want []uint8
			for _, i := range tc.rot {
				want = append(want, uint8(i))
			}
			if err != nil || !bytes.Equal(got, chunk) || !bytes.Equal(rotten, want) {
				t.Errorf("rotten are %v, want %v: %v", rotten, want, err)
			}
			if _, err := c.Decode(v, some); (err == nil) != (len(tc.rot) == 0 || tc.rot[0] == 4) {
				t.Errorf("decoded of the first three: %v", err)
			}
		})
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	for _, s := range []vstack.Scheme{{}, {K: 3}, {M: 2}, {K: 15, M: 2}, {K: 255, M: 255}} {
		if _, err := New(s); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("scheme %d+%d: %v", s.K, s.M, err)
		}
	}
	c := codec(t, vstack.DefaultScheme)
	chunk := payload(1, 100_002)
	all, v := encode(t, c, chunk), valueOf(chunk)
	for _, b := range [][]byte{nil, make([]byte, vstack.MaxChunkSize+1)} {
		if _, err := c.Encode(b); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("a chunk of %d bytes: %v", len(b), err)
		}
	}
	if _, err := c.Fragment(chunk, 5); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("fragment 5 of 3+2: %v", err)
	}
	short := append([][]byte{all[0][1:]}, all[1:]...)
	for name, tc := range map[string]struct {
		v    vstack.Value
		some [][]byte
		want error
	}{
		"two fragments":         {v, [][]byte{all[0], nil, nil, nil, all[4]}, vstack.ErrNotFound},
		"four places":           {v, all[:4], vstack.ErrInvalid},
		"a short fragment":      {v, short, vstack.ErrInvalid},
		"a chunk of no bytes":   {vstack.Value{Chunk: v.Chunk}, all, vstack.ErrInvalid},
		"a chunk of 4 GiB":      {vstack.Value{Chunk: v.Chunk, Size: 1<<32 - 1}, all, vstack.ErrInvalid},
		"another chunk's":       {vstack.Value{Chunk: vstack.ChunkID{1}, Size: v.Size}, all, vstack.ErrHashMismatch},
		"a chunk one byte less": {vstack.Value{Chunk: v.Chunk, Size: v.Size - 1}, all, vstack.ErrHashMismatch},
	} {
		if _, err := c.Decode(tc.v, tc.some); !errors.Is(err, tc.want) {
			t.Errorf("decode %s: %v, want %v", name, err, tc.want)
		}
		if _, _, err := c.Mend(tc.v, tc.some); !errors.Is(err, tc.want) {
			t.Errorf("mend %s: %v, want %v", name, err, tc.want)
		}
	}
	row := c.Scheme().Row(v.Size, 0)
	for name, tc := range map[string]struct {
		row   int
		parts [][]byte
		want  error
	}{
		"no such row":    {1, all, vstack.ErrInvalid},
		"below zero":     {-1, all, vstack.ErrInvalid},
		"two parts":      {0, [][]byte{all[0], all[1], nil, nil, nil}, vstack.ErrNotFound},
		"parts too long": {0, [][]byte{make([]byte, row.Width+1), nil, nil, nil, nil}, vstack.ErrInvalid},
	} {
		if _, err := c.DecodeRow(v.Size, tc.row, tc.parts); !errors.Is(err, tc.want) {
			t.Errorf("decode row, %s: %v, want %v", name, err, tc.want)
		}
	}
}

// TestChoicesAreAllDifferent holds the search to every choice, once.
func TestChoicesAreAllDifferent(t *testing.T) {
	seen := map[uint32]bool{}
	without([]int{0, 1, 3, 5, 6, 7, 9}, 3, func(rest []int) bool {
		if set := setOf(rest); len(rest) != 4 || seen[set] {
			t.Errorf("%v comes twice, or is not four", rest)
		} else {
			seen[set] = true
		}
		return true
	})
	if len(seen) != 35 {
		t.Errorf("%d choices of 4 in 7, want 35", len(seen))
	}
}

// FuzzCodec codes whatever chunk in whatever scheme, loses and spoils fragments, and wants
// the chunk, or an error when too many are gone; never other bytes.
func FuzzCodec(f *testing.F) {
	f.Add([]byte("a"), uint8(3), uint8(2), uint16(0b00110), uint16(0b00000), uint8(1))
	f.Add([]byte("chunk of a film"), uint8(3), uint8(2), uint16(0b00001), uint16(0b01000), uint8(7))
	f.Add(payload(1, 1000), uint8(10), uint8(4), uint16(0b1), uint16(0b1010), uint8(200))
	f.Fuzz(func(t *testing.T, seed []byte, k, m uint8, lost, spoilt uint16, times uint8) {
		s := vstack.Scheme{K: k, M: m}
		chunk := bytes.Repeat(seed, 1+int(times))
		c, err := New(s)
		if err != nil || len(chunk) == 0 || len(chunk) > 1<<20 || s.Total() > 8 {
			return
		}
		all := encode(t, c, chunk)
		some := make([][]byte, len(all))
		have, good := 0, 0
		for i := range all {
			if lost>>i&1 != 0 {
				continue
			}
			some[i] = bytes.Clone(all[i])
			have++
			if spoilt>>i&1 != 0 {
				some[i][int(times)%len(some[i])] ^= 1 + times
			}
			if bytes.Equal(some[i], all[i]) {
				good++
			}
		}
		got, rotten, err := c.Mend(valueOf(chunk), some)
		switch {
		case have < int(k):
			if !errors.Is(err, vstack.ErrNotFound) {
				t.Fatalf("%d of %d fragments: %v", have, k, err)
			}
		case good >= int(k):
			if err != nil || !bytes.Equal(got, chunk) || len(rotten) != have-good {
				t.Fatalf("%d of %d good: rotten %v, %v", good, have, rotten, err)
			}
		case err == nil && !bytes.Equal(got, chunk):
			t.Fatal("other bytes")
		}
	})
}
