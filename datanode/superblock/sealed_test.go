package superblock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/chunk"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// encrypted opens a store that is, whatever version the tests run for.
func encrypted(t testing.TB, fsys vfs.FS) (Config, *Store) {
	t.Helper()
	cfg := testConfig(t, fsys, "/store")
	cfg.Encrypt = true
	s, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, s
}

// found reports which of what is plain lies in which file of a directory.
func found(t *testing.T, fsys vfs.FS, dir string, plain [][]byte) (out []string) {
	t.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := vfs.ReadFile(fsys, filepath.Join(dir, name), 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range plain {
			if bytes.Contains(b, p) {
				out = append(out, fmt.Sprintf("%d in %s", i, name))
			}
		}
	}
	return out
}

// TestNoPlainBytesAreInAnyFile looks for every 16 bytes of what was stored at each 4 KiB, and
// for its leaves' hashes, in all files: while the store runs, behind compaction and closed.
func TestNoPlainBytesAreInAnyFile(t *testing.T) {
	disk := vfs.NewCrash()
	cfg, s := encrypted(t, disk)
	var chunks, plain [][]byte
	for i := range 12 {
		data := payload(uint64(i+1), 20_000+i*9_000)
		rec := voted(data, slotOf(1, uint32(i)), 0)
		rec.Leaves = vstack.LeavesOf(data)
		part := fragment(data, uint8(i%5), slotOf(1, uint32(i)))
		mustAppend(t, s, rec)
		mustAppend(t, s, part)
		chunks = append(chunks, data)
		for _, p := range [][]byte{data, part.Data} {
			for at := 0; at+16 <= len(p); at += 4096 {
				plain = append(plain, p[at:at+16])
			}
			plain = append(plain, p[len(p)-16:])
		}
		if len(data) > vstack.BlockSize { // a single leaf's hash is the chunk's name
			plain = append(plain, rec.Leaves[:16], rec.Leaves[len(rec.Leaves)-16:])
		}
	}
	if got := found(t, disk, cfg.Dir, plain); len(got) > 0 {
		t.Errorf("plain bytes: %v", got)
	}
	for i := range 6 {
		mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(chunks[i])}})
	}
	if r, err := s.Compact(context.Background()); err != nil || r.Files == 0 {
		t.Fatalf("compact: %+v, %v", r, err)
	}
	closeStore(t, s)
	if got := found(t, disk, cfg.Dir, plain); len(got) > 0 {
		t.Errorf("plain bytes, compacted and closed: %v", got)
	}
	s = open(t, cfg)
	defer closeStore(t, s)
	for _, c := range chunks[6:] {
		wantChunk(t, s, c)
	}
}

// sealings calls visit with the sealed records of all files of a store's directory, in a
// process that has no key.
func sealings(t *testing.T, fsys vfs.FS, dir string, visit func(h *format.Header, s *format.Sealing, path string, at int64, data []byte)) {
	t.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := fileID(name); !ok {
			continue
		}
		b, err := vfs.ReadFile(fsys, filepath.Join(dir, name), 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		var file format.FileHeader
		if err := file.Decode(b); err != nil {
			t.Fatal(err)
		}
		for at := int64(format.FileHeaderLen); at+format.MaxFixedLen <= int64(len(b)); at += format.RecordAlign {
			var h format.Header
			if h.Decode(b[at:], file.Version, file.Salt) != nil || !h.Shape().Sealed() || at+h.Len() > int64(len(b)) {
				continue
			}
			from := at + h.Shape().HeaderLen()
			visit(&h, h.Shape().Sealing(b[at:]), filepath.Join(dir, name), at, b[from:from+int64(h.DataLen)])
		}
	}
}

// TestNoNonceIsUsedTwice loses power with a group half written, again and again, and has other
// bytes take the place of what was cut off: whatever any disk ever held, one number of one
// stretch is of one chunk.
func TestNoNonceIsUsedTwice(t *testing.T) {
	type use struct {
		stretch format.Stretch
		number  uint64
	}
	seen, places := map[use]vstack.ChunkID{}, map[string]map[vstack.ChunkID]bool{}
	look := func(fsys vfs.FS, dir string) {
		sealings(t, fsys, dir, func(h *format.Header, s *format.Sealing, path string, at int64, _ []byte) {
			u := use{s.Stretch, s.Number}
			if was, ok := seen[u]; ok && was != h.Value.Chunk {
				t.Fatalf("number %d of a stretch seals two records, the second at %d of %s", s.Number, at, path)
			}
			seen[u] = h.Value.Chunk
			place := fmt.Sprint(path, at)
			if places[place] == nil {
				places[place] = map[vstack.ChunkID]bool{}
			}
			places[place][h.Value.Chunk] = true
		})
	}
	disk := vfs.NewCrash()
	chaos := rand.New(rand.NewPCG(11, 12))
	for life := range 40 {
		var mu sync.Mutex // the next file is made beside the groups
		var clone *vfs.Crash
		syncs := 0
		disk.OnWrite(func(op, _ string) {
			mu.Lock()
			defer mu.Unlock()
			if op == "datasync" {
				if syncs++; syncs == 3 { // written, and not yet durable
					clone = disk.Crash(chaos)
				}
			}
		})
		cfg, s := encrypted(t, disk)
		for i := range 3 {
			mustAppend(t, s, stored(payload(uint64(life*10+i+1), 3_000)))
		}
		closeStore(t, s)
		disk.OnWrite(nil)
		look(disk, cfg.Dir) // also of the life that the crash forgets
		look(clone, cfg.Dir)
		disk = clone
	}
	again := 0
	for _, ids := range places {
		if len(ids) > 1 {
			again++
		}
	}
	if again < 5 {
		t.Errorf("only %d places were written twice with other bytes", again)
	}
	t.Logf("%d records, %d places held more than one of them", len(seen), again)
}

// TestAFlippedBitOfASealedRecordIsFound: of its ciphertext, its tags, its number or its
// stretch, by a read and by a scrub; the ciphertext's also without a key.
func TestAFlippedBitOfASealedRecordIsFound(t *testing.T) {
	disk := vfs.NewCrash()
	cfg, s := encrypted(t, disk)
	data := payload(1, 150_001)
	rec := stored(data)
	rec.Leaves = vstack.LeavesOf(data)
	mustAppend(t, s, rec)
	e, _ := s.ix.Chunk(vstack.ChunkIDOf(data))
	shape, path := e.Shape(), s.active.path
	salt := s.active.salt
	closeStore(t, s)
	table := format.V4.FixedLen()
	for name, at := range map[string]int64{
		"the first byte of ciphertext": shape.HeaderLen(),
		"the last byte of ciphertext":  shape.HeaderLen() + int64(shape.Data) - 1,
		"a tag":                        table + 4,
		"the leaf table's tag":         table + 20*3 + 4 + 15,
		"the record's number":          176,
		"the stretch":                  table + 20*4,
		"the key's generation":         168,
	} {
		t.Run(name, func(t *testing.T) {
			cfg.FS = disk.Clone()
			s := open(t, cfg)
			defer closeStore(t, s)
			flip(t, cfg.FS, path, e.Offset()+at, 0x20)
			f, err := cfg.FS.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			r := chunk.Reader{ID: vstack.ChunkIDOf(data), Entry: e, File: f, Path: path, Version: format.V4, Salt: salt}
			defer r.Close()
			if err := r.Verify(make([]byte, chunk.Step), nil); !errors.Is(err, vstack.ErrCorrupt) {
				t.Errorf("checked without a key: %v", err)
			}
			bad := 0
			if _, err := s.Scrub(context.Background(), 0, func(vstack.ChunkID, vstack.Piece, error) { bad++ }); err != nil || bad != 1 {
				t.Errorf("scrub: %d bad, %v", bad, err)
			}
			if _, err := readAll(t, s, vstack.ChunkIDOf(data)); !errors.Is(err, vstack.ErrCorrupt) {
				t.Errorf("read: %v", err)
			}
		})
	}
	t.Run("the leaf table", func(t *testing.T) {
		cfg.FS = disk.Clone()
		s := open(t, cfg)
		defer closeStore(t, s)
		flip(t, cfg.FS, path, e.Offset()+shape.LeavesOff()+3, 0x20)
		if table, err := s.LeafTable(context.Background(), vstack.ChunkIDOf(data)); table != nil || err != nil {
			t.Errorf("a rotten table: %d bytes, %v", len(table), err)
		}
		wantChunk(t, s, data) // has tags of its own
	})
}

func TestAReadIsOfPlainBytesAtAnyRange(t *testing.T) {
	_, s := encrypted(t, vfs.NewCrash())
	defer closeStore(t, s)
	data := payload(3, 3*vstack.BlockSize+777)
	mustAppend(t, s, stored(data))
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		off := rng.IntN(len(data))
		p := make([]byte, 1+rng.IntN(len(data)))
		n, err := s.ReadAt(context.Background(), vstack.ChunkIDOf(data), p, int64(off))
		if want := data[off:min(len(data), off+len(p))]; err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(p[:n], want) {
			t.Fatalf("%d bytes at %d: %d, %v", len(p), off, n, err)
		}
	}
}

// TestAnEncryptedStoreIsNotOpenedWithoutItsKey, and nothing of it is changed by the attempt.
func TestAnEncryptedStoreIsNotOpenedWithoutItsKey(t *testing.T) {
	disk := vfs.NewCrash()
	cfg, s := encrypted(t, disk)
	data := payload(1, 5_000)
	mustAppend(t, s, stored(data))
	closeStore(t, s)
	refused := func(name string) {
		t.Helper()
		before := filesOf(t, cfg.FS, cfg.Dir)
		if _, err := Open(context.Background(), cfg); !errors.Is(err, vstack.ErrKeyMissing) {
			t.Errorf("%s: %v", name, err)
		}
		if !maps.Equal(before, filesOf(t, cfg.FS, cfg.Dir)) {
			t.Errorf("%s: the refusal changed files", name)
		}
	}
	keys := cfg.Keys
	cfg.Keys, cfg.Encrypt = nil, false
	refused("without any key")
	cfg.Keys, cfg.FS = keys, disk.Clone()
	if err := cfg.FS.Remove(filepath.Join(cfg.Dir, bareKeyFile)); err != nil {
		t.Fatal(err)
	}
	refused("its key is gone")
	cfg.FS = disk
	s = open(t, cfg) // Encrypt is for new stores alone
	defer closeStore(t, s)
	wantChunk(t, s, data)
}

// TestPlainAndSealedLieSideBySide: a plain store that becomes encrypted keeps what it has, seals
// what comes, and compaction seals what it moves. Without Keys it stays plain.
func TestPlainAndSealedLieSideBySide(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	cfg.Encrypt, cfg.Keys = false, nil
	s := openFirst(t, cfg)
	if err := s.Upgrade(context.Background(), format.V3); err != nil {
		t.Fatal(err)
	}
	var chunks [][]byte
	put := func(n int) {
		for range n {
			data := payload(uint64(len(chunks)+1), 30_000+len(chunks))
			mustAppend(t, s, voted(data, slotOf(1, uint32(len(chunks))), 0))
			mustAppend(t, s, fragment(data, 1, slotOf(1, 1)))
			chunks = append(chunks, data)
		}
	}
	put(6)
	if err := s.Upgrade(context.Background(), format.V4); !errors.Is(err, vstack.ErrInvalid) || s.appends() != format.V3 {
		t.Errorf("encrypted without a key to wrap with: %v", err)
	}
	put(1)
	closeStore(t, s)
	cfg.Keys = bareKeys{}
	s = openFirst(t, cfg)
	if err := s.Upgrade(context.Background(), format.V4); err != nil {
		t.Fatal(err)
	}
	put(6)
	count := func() (sealed, plain int) {
		for _, c := range chunks {
			if e, _ := s.ix.Chunk(vstack.ChunkIDOf(c)); e.Shape().Sealed() {
				sealed++
			} else {
				plain++
			}
		}
		return sealed, plain
	}
	check := func(sealed, plain int) {
		t.Helper()
		if a, b := count(); a != sealed || b != plain {
			t.Errorf("%d sealed, %d plain, want %d and %d", a, b, sealed, plain)
		}
		for _, c := range chunks {
			wantChunk(t, s, c)
			wantFragment(t, s, fragment(c, 1, slotOf(1, 1)))
		}
	}
	check(6, 7)
	closeStore(t, s)
	s = openFirst(t, cfg)
	defer closeStore(t, s)
	check(6, 7)
	for _, id := range s.fileIDs()[:len(s.fileIDs())-1] { // every file counts as worth it
		s.files[id].rewrite = true
	}
	if _, err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	if sealed, _ := count(); sealed < 12 {
		t.Errorf("%d of 13 are sealed behind compaction", sealed)
	}
	if r, err := s.Scrub(context.Background(), 0, func(vstack.ChunkID, vstack.Piece, error) {}); err != nil || r.Bad+r.Rot != 0 {
		t.Errorf("scrub: %+v, %v", r, err)
	}
}

// TestCompactionMovesSealedRecordsAsTheyAre, but for those whose leaf table has to be made.
func TestCompactionMovesSealedRecordsAsTheyAre(t *testing.T) {
	disk := vfs.NewCrash()
	cfg, s := encrypted(t, disk)
	defer func() { closeStore(t, s) }()
	var chunks [][]byte
	for i := range 9 {
		data := payload(uint64(i+1), 40_000+i)
		rec := stored(data)
		if rec.Leaves = vstack.LeavesOf(data); i%3 == 0 {
			rec.Leaves = nil
		}
		mustAppend(t, s, rec)
		chunks = append(chunks, data)
	}
	ciphers := func() map[vstack.ChunkID]string {
		out := map[vstack.ChunkID]string{}
		sealings(t, disk, cfg.Dir, func(h *format.Header, _ *format.Sealing, _ string, _ int64, data []byte) {
			out[h.Value.Chunk] = string(data)
		})
		return out
	}
	before := ciphers()
	for _, id := range s.fileIDs()[:len(s.fileIDs())-1] {
		s.files[id].rewrite = true
	}
	if r, err := s.Compact(context.Background()); err != nil || r.Files == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	after := ciphers()
	var anew []int
	for i, c := range chunks {
		id := vstack.ChunkIDOf(c)
		wantChunk(t, s, c)
		if before[id] != after[id] {
			anew = append(anew, i)
		}
		if e, _ := s.ix.Chunk(id); !e.HasLeaves() && i < 3 {
			t.Errorf("chunk %d was moved without a leaf table", i)
		}
	}
	for _, i := range anew {
		if i%3 != 0 {
			t.Errorf("chunk %d was sealed anew", i)
		}
	}
	if !slices.Contains(anew, 0) {
		t.Error("a chunk whose table had to be made was not sealed anew")
	}
}

// TestAStoreGoesOnWithoutRandomBytes refuses what it cannot seal, rather than seal it badly.
func TestAStoreGoesOnWithoutRandomBytes(t *testing.T) {
	cfg := testConfig(t, vfs.NewCrash(), "/store")
	cfg.Encrypt, cfg.Rand = true, io.LimitReader(rand.NewChaCha8([32]byte{}), 16+seal.KeyLen)
	if _, err := Open(context.Background(), cfg); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("opened without random bytes to begin a stretch: %v", err)
	}
}
