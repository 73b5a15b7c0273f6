package format

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
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
	b := make([]byte, HeaderLen(h.DataLen))
	h.Encode(b, blocks)
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
	entries := AppendEntry(AppendEntry(nil, chunk, 0x3000), encodeRecord(vote, nil), 0x14000)
	t := Trailer{ID: 7, Count: 2, Footer: 0x15000, Salt: h.Salt, First: 0xa1a2, Last: 0xa1a3, EntriesCRC: CRC(entries)}
	f := FileHeader{ID: 7, Store: vstack.StoreID{0xe1, 15: 0xef}, Salt: h.Salt, Base: 0xa1a1}
	return map[string][]byte{
		"record-chunk":  chunk,
		"record-vote":   encodeRecord(vote, nil),
		"record-staged": encodeRecord(install, nil),
		"record-mark":   encodeRecord(mark, nil),
		"record-barred": encodeRecord(amnesia, nil),
		"record-claim":  encodeRecord(claim, nil),
		"footer":        append(bytes.Clone(entries), t.Encode()...),
		"file-header":   f.Encode()[:64],
		"identity":      EncodeIdentity(vstack.StoreID{0xe1, 15: 0xef}),
		"block-crc":     fmt.Appendf(nil, "%08x", BlockCRCs([]byte("123456789"))), // the check value of CRC32C
		"record-length": fmt.Appendf(nil, "%d %d %d %d", RecordLen(0), RecordLen(1), RecordLen(vstack.ChunkSize), RecordLen(vstack.MaxChunkSize)),
	}
}

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
	if err := got.Decode(b, want.Salt); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || BlockCRC(b, 0) != 3 || BlockCRC(b, 1) != 4 {
		t.Errorf("read back as %+v, want %+v", got, want)
	}
	if err := got.Decode(b, want.Salt+1); !errors.Is(err, ErrMalformed) {
		t.Errorf("with another file's salt: %v", err)
	}
	for i := range b { // every single bit is covered
		for bit := range 8 {
			c := bytes.Clone(b)
			c[i] ^= 1 << bit
			if err := got.Decode(c, want.Salt); !errors.Is(err, ErrMalformed) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
	}
	if n := HeaderLen(vstack.MaxChunkSize); n != MaxHeaderLen {
		t.Errorf("the longest header is %d, MaxHeaderLen %d", n, MaxHeaderLen)
	}
}

func TestEveryFlippedBitOfFileStructuresIsRefused(t *testing.T) {
	g := goldens()
	size := int64(0x15000 + FooterLen(2))
	for name, decode := range map[string]func([]byte) error{
		"identity":    func(b []byte) error { _, err := DecodeIdentity(b); return err },
		"file-header": func(b []byte) error { var h FileHeader; return h.Decode(b) },
		"footer":      func(b []byte) error { var t Trailer; return t.Decode(b[len(b)-TrailerLen:], size) },
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
		c[8] = Version + 1
		sum := CRC(c[:60])
		c[60], c[61], c[62], c[63] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		var err error
		if name == "identity" {
			_, err = DecodeIdentity(c)
		} else {
			var h FileHeader
			err = h.Decode(c)
		}
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("%s of version 2: %v", name, err)
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

func FuzzHeader(f *testing.F) {
	salt := sample().Salt
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix && len(b) >= 192 { // let mutations get past the CRC
			var h Header
			if h.DecodeFixed(b) == nil && HeaderLen(h.DataLen) <= int64(len(b)) {
				blocks := make([]uint32, blocksOf(h.DataLen))
				for i := range blocks {
					blocks[i] = BlockCRC(b, i)
				}
				clear(b[FixedLen:])
				h.Salt = salt
				h.Encode(b[:HeaderLen(h.DataLen)], blocks)
			}
		}
		var h Header
		if err := h.Decode(b, salt); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		if h.DataLen > vstack.MaxChunkSize || RecordLen(h.DataLen) < HeaderLen(h.DataLen) || h.Kind == 0 {
			t.Errorf("accepted %+v", h)
		}
		n := HeaderLen(h.DataLen)
		again := make([]byte, n)
		blocks := make([]uint32, blocksOf(h.DataLen))
		for i := range blocks {
			blocks[i] = BlockCRC(b, i)
		}
		h.Encode(again, blocks)
		var back Header
		if err := back.Decode(again, salt); err != nil || fmt.Sprint(back) != fmt.Sprint(h) {
			t.Errorf("does not read back: %+v, %+v, %v", h, back, err)
		}
	})
}

func FuzzFooter(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		var tr Trailer
		if err := tr.Decode(b, size); err == nil && (tr.Count > MaxEntries || tr.Footer < FileHeaderLen || tr.Footer > size) {
			t.Errorf("accepted %+v in a file of %d", tr, size)
		}
		for i := range len(b) / EntryLen {
			var h Header
			if off, err := DecodeEntry(b, i, &h); err == nil && (off < FileHeaderLen || off > MaxFile || h.DataLen > vstack.MaxChunkSize) {
				t.Errorf("accepted entry at %d: %+v", off, h)
			}
		}
	})
}

func FuzzIdentity(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := DecodeIdentity(b); err == nil && (id.IsZero() || !bytes.Equal(EncodeIdentity(id)[16:32], b[16:32])) {
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
		"FuzzHeader/staged":   fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record-staged"]),
		"FuzzHeader/barred":   fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record-barred"]),
		"FuzzHeader/short":    fmt.Sprintf("[]byte(%q)\nbool(true)\n", g["record-vote"][:100]),
		"FuzzFooter/trailer":  fmt.Sprintf("[]byte(%q)\nint64(%d)\n", footer[len(footer)-TrailerLen:], int64(0x15000)+FooterLen(2)),
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
