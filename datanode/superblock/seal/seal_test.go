package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

func box(t testing.TB) *Box {
	t.Helper()
	key, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBox(key)
	if err := b.Begin(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return b
}

// header is that of a chunk's record.
func header(data []byte, leaves bool) *format.Header {
	h := &format.Header{Version: format.V4}
	h.KeyGeneration = 1
	h.Value = vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}
	if leaves {
		h.LeavesLen = uint32(len(vstack.LeavesOf(data)))
	}
	return h
}

func TestWhatIsSealedOpens(t *testing.T) {
	b := box(t)
	for _, n := range []int{1, vstack.BlockSize - 1, vstack.BlockSize, vstack.BlockSize + 1, vstack.BlockSize + 20, 3*vstack.BlockSize + 5, vstack.ChunkSize/2 + 1, vstack.ChunkSize, vstack.ChunkSize + 1, vstack.MaxChunkSize} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			data := make([]byte, n)
			if _, err := rand.Read(data); err != nil {
				t.Fatal(err)
			}
			was := bytes.Clone(data)
			leaves := vstack.LeavesOf(data)
			h := header(data, true)
			s := b.Seal(h.Value, h.Piece, data, leaves)
			if !bytes.Equal(data, was) {
				t.Error("the caller's bytes were changed")
			}
			blocks := (n + vstack.BlockSize - 1) / vstack.BlockSize
			if len(s.Data) != n || len(s.Leaves) != len(leaves) || len(s.Tags) != blocks+1 || len(s.CRCs) != blocks+1 {
				t.Fatalf("%d bytes, %d of leaves, %d tags, %d CRCs", len(s.Data), len(s.Leaves), len(s.Tags), len(s.CRCs))
			}
			for i, c := range format.BlockCRCs(s.Data, s.Leaves) {
				if s.CRCs[i] != c {
					t.Errorf("block %d: CRC %08x, want %08x", i, s.CRCs[i], c)
				}
			}
			o, err := b.Opener(h, &s.Sealing)
			if err != nil {
				t.Fatal(err)
			}
			for first := range blocks { // from each block on
				got := append(bytes.Clone(s.Data[first*vstack.BlockSize:]), "behind"...)
				if err := o.Open(got[:len(got)-6], first); err != nil || !bytes.Equal(got[:len(got)-6], data[first*vstack.BlockSize:]) || string(got[len(got)-6:]) != "behind" {
					t.Fatalf("from block %d on: %v", first, err)
				}
			}
			if got := bytes.Clone(s.Leaves); o.Leaves(got) != nil || !bytes.Equal(got, leaves) {
				t.Error("the leaf table does not open")
			}
			s.Release()
		})
	}
}

// TestATagBindsItsBlockToItsPlace: a right block in another place is as wrong as a flipped bit.
func TestATagBindsItsBlockToItsPlace(t *testing.T) {
	b := box(t)
	data := bytes.Repeat([]byte("plain"), 2*vstack.BlockSize/5)
	h := header(data, false)
	s := b.Seal(h.Value, h.Piece, data, nil)
	for name, change := range map[string]func(h *format.Header, s *format.Sealing, p []byte) int{
		"a bit of the ciphertext": func(_ *format.Header, _ *format.Sealing, p []byte) int { p[7] ^= 1; return 0 },
		"a bit of the tag":        func(_ *format.Header, s *format.Sealing, _ []byte) int { s.Tags[0][15] ^= 0x80; return 0 },
		"another block's place":   func(_ *format.Header, s *format.Sealing, _ []byte) int { s.Tags[1] = s.Tags[0]; return 1 },
		"another number":          func(_ *format.Header, s *format.Sealing, _ []byte) int { s.Number++; return 0 },
		"another stretch":         func(_ *format.Header, s *format.Sealing, _ []byte) int { s.Stretch[0] ^= 1; return 0 },
		"another chunk":           func(h *format.Header, _ *format.Sealing, _ []byte) int { h.Value.Chunk[0] ^= 1; return 0 },
		"another size":            func(h *format.Header, _ *format.Sealing, _ []byte) int { h.Value.Size--; return 0 },
		"a fragment":              func(h *format.Header, _ *format.Sealing, _ []byte) int { h.Piece.I = 1; return 0 },
		"a leaf table":            func(h *format.Header, _ *format.Sealing, _ []byte) int { h.LeavesLen = 64; return 0 },
	} {
		h2, s2 := *h, s.Sealing
		s2.Tags = append([]format.Tag(nil), s.Tags...)
		p := bytes.Clone(s.Data[:vstack.BlockSize])
		first := change(&h2, &s2, p)
		o, err := b.Opener(&h2, &s2)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Open(p, first); !errors.Is(err, format.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Equal(p, data[:vstack.BlockSize]) {
			t.Errorf("%s: plain bytes were left in what was not proven", name)
		}
	}
	other := box(t)
	o, err := other.Opener(h, &s.Sealing)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Open(bytes.Clone(s.Data), 0); !errors.Is(err, format.ErrMalformed) {
		t.Errorf("another data key: %v", err)
	}
	h2 := *h
	h2.KeyGeneration = 2
	if _, err := b.Opener(&h2, &s.Sealing); !errors.Is(err, vstack.ErrKeyMissing) {
		t.Errorf("another generation: %v", err)
	}
}

// TestNoTwoRecordsAreSealedAlike: one chunk, sealed twice, in one stretch or in two.
func TestNoTwoRecordsAreSealedAlike(t *testing.T) {
	b := box(t)
	data := make([]byte, 100)
	h := header(data, false)
	seen := map[string]bool{}
	for range 3 {
		for range 3 {
			seen[string(b.Seal(h.Value, h.Piece, data, nil).Data)] = true
		}
		if err := b.Begin(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 9 {
		t.Errorf("%d ciphertexts of 9", len(seen))
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	k := Key{Generation: 3, Secret: [KeyLen]byte{0xab, 0xcd}}
	for _, f := range []string{"%v", "%+v", "%s", "%#v"} {
		if got := fmt.Sprintf(f, k); strings.Contains(got, "171") || strings.Contains(got, "ab") || !strings.Contains(got, "generation 3") {
			t.Errorf("%s prints %s", f, got)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	bx := box(b)
	data := make([]byte, vstack.ChunkSize)
	h := header(data, false)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		bx.Seal(h.Value, h.Piece, data, nil).Release()
	}
}

func BenchmarkOpen(b *testing.B) {
	bx := box(b)
	data := make([]byte, vstack.ChunkSize)
	h := header(data, false)
	s := bx.Seal(h.Value, h.Piece, data, nil)
	p := make([]byte, len(data))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		copy(p, s.Data)
		o, err := bx.Opener(h, &s.Sealing)
		if err == nil {
			err = o.Open(p, 0)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpener(b *testing.B) {
	bx := box(b)
	data := make([]byte, 1)
	h := header(data, false)
	s := bx.Seal(h.Value, h.Piece, data, nil)
	for b.Loop() {
		if _, err := bx.Opener(h, &s.Sealing); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCRC(b *testing.B) {
	data := make([]byte, vstack.ChunkSize)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		format.BlockCRCs(data, nil)
	}
}
