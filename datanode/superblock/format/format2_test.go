package format

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// sample2 is sample in version 2, with a leaf table.
func sample2() Header {
	h := sample()
	h.Version, h.LeavesLen = V2, 64
	return h
}

// piece is fragment i of 3+2, the last one that there is being 4.
func piece(i uint8) vstack.Piece { return vstack.Piece{Scheme: vstack.DefaultScheme, I: i} }

// goldens2 are the formats of version 2 by example, goldens3 those of version 3.
func goldens2() map[string][]byte { return goldensOf(V2) }
func goldens3() map[string][]byte { return goldensOf(V3) }

func goldensOf(v Version) map[string][]byte {
	h := sample2()
	h.Version = v
	chunk := encodeRecord(h, []uint32{0xc1c2c3c4, 0xd1d2d3d4, 0xe1e2e3e4})
	vote := h
	vote.Kind, vote.Voted, vote.DataLen, vote.LeavesLen, vote.Flags = KindVote, false, 0, 0, 0
	fragment := h
	fragment.Kind, fragment.Piece = KindFragment, piece(4)
	fragment.Value.Size = vstack.ChunkSize
	fragment.DataLen, fragment.LeavesLen = 699_051, 1024
	fragment.Tagged, fragment.KeyGeneration = true, 0x77
	blocks, tags := make([]uint32, 12), make([]Tag, 12)
	for i := range blocks {
		blocks[i], tags[i] = 0x01010101*uint32(i), Tag{byte(i), 15: 0xff}
	}
	fragment.Sealing = &Sealing{Stretch: Stretch{0xf1, 31: 0xff}, Number: 0x8182838485868788, Tags: tags}
	encoded := make([]byte, fragment.Shape().HeaderLen())
	fragment.Encode(encoded, blocks, tags)
	drop := vote
	drop.Kind, drop.Piece = KindDropFragment, fragment.Piece
	entries := AppendEntry(AppendEntry(nil, chunk, 0x3000, v), encodeRecord(vote, nil), 0x14000, v)
	t := Trailer{Version: v, ID: 7, Count: 2, Footer: 0x15000, Salt: h.Salt, First: 0xa1a2, Last: 0xa1a3, EntriesCRC: CRC(entries)}
	f := FileHeader{Version: v, ID: 7, Store: vstack.StoreID{0xe1, 15: 0xef}, Salt: h.Salt, Base: 0xa1a1}
	lengths := ""
	for _, size := range []uint32{1, vstack.ChunkSize, vstack.MaxChunkSize} {
		s := Shape{v, size, uint32(leavesLen(size)), false}
		lengths += fmt.Sprintf("%d %d %d; ", s.HeaderLen(), s.LeavesOff(), s.Len())
	}
	return map[string][]byte{
		fmt.Sprintf("record%d-chunk", v):         chunk,
		fmt.Sprintf("record%d-vote", v):          encodeRecord(vote, nil),
		fmt.Sprintf("record%d-fragment", v):      encoded,
		fmt.Sprintf("record%d-drop-fragment", v): encodeRecord(drop, nil),
		fmt.Sprintf("footer%d", v):               append(bytes.Clone(entries), t.Encode()...),
		fmt.Sprintf("file-header%d", v):          f.Encode()[:64],
		fmt.Sprintf("identity%d", v):             EncodeIdentity(vstack.StoreID{0xe1, 15: 0xef}, v),
		fmt.Sprintf("record%d-length", v):        []byte(lengths),
	}
}

func TestVersion2ReadsBackAsWritten(t *testing.T) {
	for _, v := range []Version{V2, V3, V4} {
		readBack(t, v, goldensOf(v))
	}
	sealed := goldensOf(V4)["record4-fragment"]
	var s Header
	if err := s.Decode(sealed, V4, sample().Salt); err != nil {
		t.Fatal(err)
	}
	if got := s.Shape().Sealing(sealed); got.Stretch != (Stretch{0xf1, 31: 0xff}) || got.Number != 0x8182838485868788 || len(got.Tags) != 12 || got.Tags[11] != (Tag{11, 15: 0xff}) {
		t.Errorf("the sealing reads back as %+v", got)
	}
	if err := new(Header).Decode(goldens3()["record3-fragment"], V2, sample().Salt); !errors.Is(err, ErrMalformed) {
		t.Errorf("a record of version 3 in a file of version 2: %v", err)
	}
	g := goldens2()
	var h Header
	if err := h.Decode(g["record2-fragment"], V2, sample().Salt); err != nil || h.Piece != piece(4) || h.KeyGeneration != 0x77 || !h.Tagged ||
		h.Shape().Tag(g["record2-fragment"], 11) != (Tag{11, 15: 0xff}) || h.Shape().BlockCRC(g["record2-fragment"], 11) != 0x0b0b0b0b {
		t.Errorf("the fragment reads back as %+v, %v", h, err)
	}
	if err := h.Decode(encodeRecord(sample(), []uint32{1, 2}), V2, sample().Salt); !errors.Is(err, ErrMalformed) {
		t.Errorf("a record of version 1 in a file of version 2: %v", err)
	}
}

func readBack(t *testing.T, v Version, g map[string][]byte) {
	for _, what := range []string{"chunk", "vote", "fragment", "drop-fragment"} {
		name := fmt.Sprintf("record%d-%s", v, what)
		b := g[name]
		var h Header
		if err := h.Decode(b, v, sample().Salt); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		blocks, tags := tableOf(b, h.Shape())
		again := make([]byte, h.Shape().HeaderLen())
		h.Sealing = h.Shape().Sealing(b)
		h.Encode(again, blocks, tags)
		if !bytes.Equal(again, b) {
			t.Errorf("%s is written as %x", name, again)
		}
		if err := h.Decode(b, V1, sample().Salt); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s in a file of version 1: %v", name, err)
		}
		for i := range b { // every byte is covered
			c := bytes.Clone(b)
			c[i] ^= 0x10
			if err := h.Decode(c, v, sample().Salt); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s with byte %d flipped: %v", name, i, err)
			}
		}
	}
}

func TestAHeaderThatContradictsItselfIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Header){
		"a table of another chunk":   func(h *Header) { h.LeavesLen = 32 },
		"a table without data":       func(h *Header) { h.Kind, h.DataLen = KindVote, 0 },
		"tags without data":          func(h *Header) { h.Kind, h.DataLen, h.LeavesLen, h.Tagged = KindVote, 0, 0, true },
		"a fragment of no scheme":    func(h *Header) { h.Kind = KindFragment },
		"a fragment that is no part": func(h *Header) { h.Kind, h.Piece = KindFragment, piece(5) },
		"a chunk that is a part":     func(h *Header) { h.Piece = piece(1) },
		"a drop of no part":          func(h *Header) { h.Kind, h.DataLen, h.LeavesLen = KindDropFragment, 0, 0 },
		"a key and no tags":          func(h *Header) { h.Version, h.KeyGeneration = V4, 1 },
		"tags and no key":            func(h *Header) { h.Version, h.Tagged, h.Sealing = V4, true, &Sealing{Tags: make([]Tag, 3)} },
		"a fragment of another size": func(h *Header) { h.Kind, h.Piece = KindFragment, piece(0) },
	} {
		h := sample2()
		change(&h)
		blocks := make([]uint32, h.Shape().Blocks())
		b := make([]byte, h.Shape().HeaderLen())
		h.Encode(b, blocks, make([]Tag, len(blocks)))
		if err := h.Decode(b, h.Version, h.Salt); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateVersion2(t *testing.T) {
	good := sample().Record
	good.Data = make([]byte, good.Value.Size)
	good.Leaves = vstack.LeavesOf(good.Data)
	fragment := Record{Kind: KindFragment, Value: vstack.Value{Chunk: vstack.ChunkID{1}, Size: vstack.ChunkSize}, Piece: piece(4), Data: make([]byte, 699_051)}
	for _, r := range []Record{good, fragment, {Kind: KindDropFragment, Value: fragment.Value, Piece: fragment.Piece}} {
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", r.Kind, err)
		}
	}
	for name, bad := range map[string]Record{
		"a table of another chunk": func() Record { r := good; r.Leaves = r.Leaves[:32]; return r }(),
		"a chunk that is a piece":  func() Record { r := good; r.Piece = piece(1); return r }(),
		"a fragment too short":     func() Record { r := fragment; r.Data = r.Data[1:]; return r }(),
		"a fragment of no scheme":  func() Record { r := fragment; r.Piece = vstack.Piece{}; return r }(),
		"a drop of no chunk":       {Kind: KindDropFragment, Piece: fragment.Piece},
		"a vote with a table":      func() Record { r := good; r.Kind, r.Data = KindVote, nil; return r }(),
	} {
		if err := bad.Validate(); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAFooterEntryIsNoRecord: an entry that lies where a record could start must not be
// taken for one.
func TestAFooterEntryIsNoRecord(t *testing.T) {
	vote := goldens2()["record2-vote"]
	entry := AppendEntry(nil, vote, 0x14000, V2)
	var h Header
	if err := h.Decode(entry, V2, sample().Salt); !errors.Is(err, ErrMalformed) {
		t.Errorf("read as a record: %v", err)
	}
	if off, err := DecodeEntry(entry, 0, &h, V2); err != nil || off != 0x14000 || h.Kind != KindVote {
		t.Errorf("read as an entry: %+v at %d, %v", h, off, err)
	}
	if !bytes.Equal(vote, goldens2()["record2-vote"]) {
		t.Error("the header was changed")
	}
}
