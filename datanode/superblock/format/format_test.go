package format

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a record with a different value in every field.
func sample() Header {
	return Header{
		Version: V1,
		Record: Record{
			Kind: KindChunk, Voted: true,
			Slot:   vstack.Slot{Video: vstack.VideoID{0x01, 0x02, 15: 0x0f}, Track: 0x1112, Seq: 0x21222324},
			PG:     0x31,
			Epoch:  0x4142,
			Upload: vstack.UploadID{0x51, 15: 0x5f},
			Ballot: vstack.Ballot{Incarnation: 0x6162, Round: 0x7172, Proposer: vstack.ProposerID{0x81, 15: 0x8f}},
			Value:  vstack.Value{Chunk: vstack.ChunkID{0x91, 31: 0x9f}, Size: vstack.BlockSize + 10},
		},
		DataLen: vstack.BlockSize + 10, LSN: 0xa1a2, Group: 0x3000, BatchIndex: 1, BatchCount: 3,
		Flags: FlagGroupEnd | FlagMoved | FlagVoted, Salt: 0xb1b2b3b4b5b6b7b8,
	}
}

func encodeRecord(h Header, blocks []uint32) []byte {
	b := make([]byte, h.Shape().HeaderLen())
	h.Encode(b, blocks, nil)
	return b
}

// goldens are the formats by example.
func goldens() map[string][]byte {
	h := sample()
	chunk := encodeRecord(h, []uint32{0xc1c2c3c4, 0xd1d2d3d4})
	vote := sample()
	vote.Kind, vote.Voted, vote.DataLen, vote.Flags = KindVote, false, 0, 0
	install := vote
	install.Kind = KindInstall
	install.Ballot = vstack.Ballot{Round: 0x7172}
	mark := install
	mark.Slot, mark.Upload, mark.Value = vstack.Slot{}, vstack.UploadID{}, vstack.Value{}
	amnesia := mark
	amnesia.Kind, amnesia.Ballot = KindAmnesia, vstack.Ballot{}
	claim := mark
	claim.Kind = KindClaim
	entries := AppendEntry(AppendEntry(nil, chunk, 0x3000, V1), encodeRecord(vote, nil), 0x14000, V1)
	t := Trailer{Version: V1, ID: 7, Count: 2, Footer: 0x15000, Salt: h.Salt, First: 0xa1a2, Last: 0xa1a3, EntriesCRC: CRC(entries)}
	f := FileHeader{Version: V1, ID: 7, Store: vstack.StoreID{0xe1, 15: 0xef}, Salt: h.Salt, Base: 0xa1a1}
	out := map[string][]byte{
		"record-chunk":  chunk,
		"record-vote":   encodeRecord(vote, nil),
		"record-staged": encodeRecord(install, nil),
		"record-mark":   encodeRecord(mark, nil),
		"record-barred": encodeRecord(amnesia, nil),
		"record-claim":  encodeRecord(claim, nil),
		"footer":        append(bytes.Clone(entries), t.Encode()...),
		"file-header":   f.Encode()[:64],
		"identity":      EncodeIdentity(vstack.StoreID{0xe1, 15: 0xef}, V1),
		"block-crc":     fmt.Appendf(nil, "%08x", BlockCRCs([]byte("123456789"), nil)), // the check value of CRC32C
		"record-length": fmt.Appendf(nil, "%d %d %d %d", recordLen(V1, 0), recordLen(V1, 1), recordLen(V1, vstack.ChunkSize), recordLen(V1, vstack.MaxChunkSize)),
	}
	maps.Copy(out, goldens2())
	maps.Copy(out, goldens3())
	maps.Copy(out, goldensOf(V4))
	return out
}

func recordLen(v Version, data uint32) int64 { return Shape{Version: v, Data: data}.Len() }

func TestGoldenFiles(t *testing.T) {
	for name, b := range goldens() {
		path := filepath.Join("testdata", name+".hex")
		dump := hex.Dump(b)
		if *update {
			if err := os.WriteFile(path, []byte(dump), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != dump {
			t.Errorf("%s: encodes as\n%swant\n%s", name, dump, want)
		}
	}
}

func TestHeaderReadsBackAsWritten(t *testing.T) {
	want := sample()
	b := encodeRecord(want, []uint32{3, 4})
	var got Header
	if err := got.Decode(b, V1, want.Salt); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || got.Shape().BlockCRC(b, 0) != 3 || got.Shape().BlockCRC(b, 1) != 4 {
		t.Errorf("read back as %+v, want %+v", got, want)
	}
	if err := got.Decode(b, V1, want.Salt+1); !errors.Is(err, ErrMalformed) {
		t.Errorf("with another file's salt: %v", err)
	}
	for i := range b { // every single bit is covered
		for bit := range 8 {
			c := bytes.Clone(b)
			c[i] ^= 1 << bit
			if err := got.Decode(c, V1, want.Salt); !errors.Is(err, ErrMalformed) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
	}
	if n := (Shape{Version: Newest, Data: vstack.MaxChunkSize, Leaves: uint32(leavesLen(vstack.MaxChunkSize)), Tagged: true}).HeaderLen(); n != MaxHeaderLen {
		t.Errorf("the longest header is %d, MaxHeaderLen %d", n, MaxHeaderLen)
	}
}

func TestEveryFlippedBitOfFileStructuresIsRefused(t *testing.T) {
	g := goldens()
	size := int64(0x15000 + V1.FooterLen(2))
	for name, decode := range map[string]func([]byte) error{
		"identity":    func(b []byte) error { _, _, err := DecodeIdentity(b); return err },
		"file-header": func(b []byte) error { var h FileHeader; return h.Decode(b) },
		"footer":      func(b []byte) error { var t Trailer; return t.Decode(b[len(b)-TrailerLen:], V1, size) },
	} {
		b := g[name]
		if err := decode(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		from := 0
		if name == "footer" {
			from = len(b) - TrailerLen
		}
		for i := from; i < len(b); i++ {
			c := bytes.Clone(b)
			c[i] ^= 0x40
			if decode(c) == nil {
				t.Errorf("%s: byte %d flipped is accepted", name, i)
			}
		}
	}
}

func TestNewerVersionIsNotTakenForRot(t *testing.T) {
	for name, b := range map[string][]byte{"identity": goldens()["identity"], "file-header": goldens()["file-header"]} {
		c := bytes.Clone(b)
		c[8] = byte(Newest) + 1
		sum := CRC(c[:60])
		c[60], c[61], c[62], c[63] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		var err error
		if name == "identity" {
			_, _, err = DecodeIdentity(c)
		} else {
			var h FileHeader
			err = h.Decode(c)
		}
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), fmt.Sprintf("version %d,", Newest+1)) || !strings.Contains(err.Error(), "start the newer vstack") {
			t.Errorf("%s of a newer version: %v", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	good := sample().Record
	good.Data = make([]byte, good.Value.Size)
	if err := good.Validate(); err != nil {
		t.Errorf("a good record: %v", err)
	}
	for name, change := range map[string]func(*Record){
		"unknown kind":        func(r *Record) { r.Kind = kindEnd },
		"no kind":             func(r *Record) { r.Kind = 0 },
		"no data":             func(r *Record) { r.Data = nil },
		"too much data":       func(r *Record) { r.Data = make([]byte, vstack.MaxChunkSize+1) },
		"another size":        func(r *Record) { r.Value.Size++ },
		"no chunk id":         func(r *Record) { r.Value.Chunk = vstack.ChunkID{} },
		"vote without slot":   func(r *Record) { r.Slot = vstack.Slot{} },
		"vote without ballot": func(r *Record) { r.Ballot = vstack.Ballot{} },
		"vote with data":      func(r *Record) { r.Kind = KindVote },
		"empty forget":        func(r *Record) { *r = Record{Kind: KindForget} },
		"empty minimum":       func(r *Record) { *r = Record{Kind: KindMinimum} },
		"empty promise":       func(r *Record) { *r = Record{Kind: KindPromise} },
		"staged without attempt": func(r *Record) {
			r.Kind, r.Voted, r.Data, r.Ballot.Round = KindInstall, false, nil, 0
		},
		"staged without upload": func(r *Record) {
			r.Kind, r.Voted, r.Data, r.Upload = KindInstall, false, nil, vstack.UploadID{}
		},
		"staged without value": func(r *Record) {
			r.Kind, r.Voted, r.Data, r.Value = KindInstall, false, nil, vstack.Value{}
		},
		"mark without epoch": func(r *Record) { *r = Record{Kind: KindInstall, Ballot: r.Ballot} },
	} {
		r := good
		change(&r)
		if err := r.Validate(); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// tableOf are the CRCs and tags of an encoded header.
func tableOf(b []byte, s Shape) (blocks []uint32, tags []Tag) {
	for i := range s.Blocks() {
		blocks = append(blocks, s.BlockCRC(b, i))
		if s.Tagged {
			tags = append(tags, s.Tag(b, i))
		}
	}
	return blocks, tags
}

func FuzzHeader(f *testing.F) {
	salt := sample().Salt
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		v := V1
		if len(b) > 4 && b[4] > byte(V1) && b[4] <= byte(Newest) {
			v = Version(b[4])
		}
		if fix && len(b) >= MaxFixedLen { // let mutations get past the CRC
			var h Header
			if h.DecodeFixed(b, v) == nil && h.Shape().HeaderLen() <= int64(len(b)) {
				blocks, tags := tableOf(b, h.Shape())
				h.Sealing = h.Shape().Sealing(b)
				clear(b[v.FixedLen():])
				h.Salt = salt
				h.Encode(b[:h.Shape().HeaderLen()], blocks, tags)
			}
		}
		var h Header
		if err := h.Decode(b, v, salt); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		if h.DataLen > vstack.MaxChunkSize || h.Len() < h.Shape().HeaderLen() || h.Shape().HeaderLen() > MaxHeaderLen || h.Kind == 0 {
			t.Errorf("accepted %+v", h)
		}
		again := make([]byte, h.Shape().HeaderLen())
		blocks, tags := tableOf(b, h.Shape())
		h.Sealing = h.Shape().Sealing(b)
		h.Encode(again, blocks, tags)
		h.Sealing = nil
		var back Header
		if err := back.Decode(again, v, salt); err != nil || fmt.Sprint(back) != fmt.Sprint(h) {
			t.Errorf("does not read back: %+v, %+v, %v", h, back, err)
		}
	})
}

func FuzzFooter(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		for v := V1; v <= Newest; v++ {
			var tr Trailer
			if err := tr.Decode(b, v, size); err == nil && (tr.Count > MaxEntries || tr.Footer < FileHeaderLen || tr.Footer > size) {
				t.Errorf("accepted %+v in a file of %d", tr, size)
			}
			for i := range len(b) / v.EntryLen() {
				var h Header
				if off, err := DecodeEntry(b, i, &h, v); err == nil && (off < FileHeaderLen || off > MaxFile || h.DataLen > vstack.MaxChunkSize) {
					t.Errorf("accepted entry at %d: %+v", off, h)
				}
			}
		}
	})
}

func FuzzIdentity(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, v, err := DecodeIdentity(b); err == nil && (id.IsZero() || v < V1 || v > Newest || !bytes.Equal(EncodeIdentity(id, v)[8:32], b[8:32])) {
			t.Errorf("accepted %x", b)
		}
		var h FileHeader
		if err := h.Decode(b); err == nil && len(b) < 64 {
			t.Errorf("accepted a header of %d bytes", len(b))
		}
	})
}

// TestWriteCorpus keeps the fuzz corpora in step with the golden files.
func TestWriteCorpus(t *testing.T) {
	if !*update {
		t.Skip("with -update")
	}
	g := goldens()
	footer := g["footer"]
	for path, body := range map[string]string{
		"FuzzHeader/chunk":    fmt.Sprintf("[]byte(%q)\nbool(false)\n", g["record-chunk"]),
		"FuzzHeader/vote":     fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record-vote"]),
		"FuzzHeader/leaves":   fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record2-chunk"]),
		"FuzzHeader/fragment": fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record2-fragment"]),
		"FuzzHeader/part":     fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record3-fragment"]),
		"FuzzHeader/drop":     fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record3-drop-fragment"]),
		"FuzzHeader/sealed":   fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record4-fragment"]),
		"FuzzFooter/four":     fmt.Sprintf("[]byte(%q)\nint64(%d)\n", g["footer4"], int64(0x15000)+V4.FooterLen(2)),
		"FuzzFooter/three":    fmt.Sprintf("[]byte(%q)\nint64(%d)\n", g["footer3"], int64(0x15000)+V3.FooterLen(2)),
		"FuzzFooter/two":      fmt.Sprintf("[]byte(%q)\nint64(%d)\n", g["footer2"], int64(0x15000)+V2.FooterLen(2)),
		"FuzzHeader/staged":   fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record-staged"]),
		"FuzzHeader/barred":   fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record-barred"]),
		"FuzzHeader/short":    fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record-vote"][:100]),
		"FuzzFooter/trailer":  fmt.Sprintf("[]byte(%q)\nint64(%d)\n", footer[len(footer)-TrailerLen:], int64(0x15000)+V1.FooterLen(2)),
		"FuzzFooter/entries":  fmt.Sprintf("[]byte(%q)\nint64(0)\n", footer),
		"FuzzIdentity/store":  fmt.Sprintf("[]byte(%q)\n", g["identity"]),
		"FuzzIdentity/header": fmt.Sprintf("[]byte(%q)\n", g["file-header"]),
		"FuzzIdentity/empty":  "[]byte(\"\")\n",
	} {
		path = filepath.Join("testdata", "fuzz", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("go test fuzz v1\n"+body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
