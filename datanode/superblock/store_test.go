package superblock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// testConfig is a store of small superblocks whose Fatal fails the test.
func testConfig(t testing.TB, fsys vfs.FS, dir string) Config {
	t.Helper()
	return Config{
		Keys: bareKeys{}, Encrypt: appendAs == format.V4,
		Dir: dir, FS: fsys, SuperblockSize: 256 << 10, Reserve: 256 << 10,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Fatal:  func(err error) { t.Errorf("fatal: %v", err) },
	}
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if s.appends() < appendAs {
		if err := s.Upgrade(context.Background(), appendAs); err != nil {
			t.Fatalf("upgrade: %v", err)
		}
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func mustAppend(t testing.TB, s *Store, recs ...Record) vstack.LSN {
	t.Helper()
	lsn, err := s.Append(context.Background(), recs...)
	if err != nil {
		t.Fatalf("append %s: %v", recs[0].Kind, err)
	}
	return lsn
}

// payload is n bytes that depend on seed alone.
func payload(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 7))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func slotOf(video byte, seq uint32) vstack.Slot {
	return vstack.Slot{Video: vstack.VideoID{0: 1, 15: video}, Track: 1, Seq: seq}
}

// voted is a PUT's record: bytes and vote in one.
func voted(data []byte, slot vstack.Slot, round uint32) Record {
	return Record{
		Kind: KindChunk, Voted: true, Data: data, Slot: slot, PG: slot.PG(), Epoch: 1,
		Upload: vstack.UploadID{0: 9, 15: slot.Video[15]},
		Ballot: vstack.Ballot{Incarnation: 5, Round: round, Proposer: vstack.ProposerID{1}},
		Value:  vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))},
		Leaves: leavesOf(data),
	}
}

// leavesOf is a leaf table for two chunks of three: whoever stores one need not have it.
func leavesOf(data []byte) vstack.LeafTable {
	if len(data)%3 == 0 || len(data) > vstack.MaxChunkSize {
		return nil
	}
	return vstack.LeavesOf(data)
}

// stored is bytes without a vote.
func stored(data []byte) Record {
	return Record{Kind: KindChunk, Data: data, Value: vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}, Leaves: leavesOf(data)}
}

func readAll(t testing.TB, s *Store, id vstack.ChunkID) ([]byte, error) {
	t.Helper()
	info, ok := s.Lookup(id)
	if !ok && !info.Bad {
		return nil, vstack.ErrNotFound
	}
	b := make([]byte, info.Size)
	n, err := s.ReadAt(context.Background(), id, b, 0)
	return b[:n], err
}

func wantChunk(t testing.TB, s *Store, data []byte) {
	t.Helper()
	got, err := readAll(t, s, vstack.ChunkIDOf(data))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("chunk of %d bytes: got %d bytes, error %v", len(data), len(got), err)
	}
}

func stateOf(s *Store) map[string]Record {
	out := map[string]Record{}
	s.State(func(r Record, lsn vstack.LSN) bool {
		out[fmt.Sprintf("%s %s %s %d", r.Kind, r.Slot, r.Upload, lsn)] = r
		return true
	})
	return out
}

func TestStore(t *testing.T) {
	for name, fsys := range map[string]func(t *testing.T) (vfs.FS, string){
		"on the real file system": func(t *testing.T) (vfs.FS, string) { return vfs.OS{}, t.TempDir() },
		"in memory":               func(t *testing.T) (vfs.FS, string) { return vfs.NewCrash(), "/store" },
	} {
		t.Run(name, func(t *testing.T) {
			fs, dir := fsys(t)
			cfg := testConfig(t, fs, dir)
			s := open(t, cfg)
			var chunks [][]byte
			for i := range 60 { // several superblocks
				data := payload(uint64(i), 1+i*700)
				chunks = append(chunks, data)
				mustAppend(t, s, voted(data, slotOf(1, uint32(i)), 0))
			}
			id, lsn := s.ID(), s.LSN()
			before := stateOf(s)
			for range 2 {
				for _, c := range chunks {
					wantChunk(t, s, c)
				}
				if got := s.Stats(); got.Chunks != 60 || got.Slots != 60 || got.Superblocks < 3 || got.Findings != 0 {
					t.Fatalf("stats %+v", got)
				}
				closeStore(t, s)
				s = open(t, cfg)
				if s.ID() != id || s.LSN() != lsn {
					t.Fatalf("reopened as %s at %d, want %s at %d", s.ID(), s.LSN(), id, lsn)
				}
				if after := stateOf(s); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Fatalf("state after reopening differs: %d records, %d before", len(after), len(before))
				}
			}
			closeStore(t, s)
		})
	}
}

func TestConcurrentAppendsShareAnFdatasync(t *testing.T) {
	fault := vfs.NewFault(vfs.NewCrash())
	s := open(t, testConfig(t, fault, "/store"))
	defer closeStore(t, s)
	base := fault.Calls("datasync")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if _, err := s.Append(context.Background(), voted(payload(uint64(i), 900), slotOf(2, uint32(i)), 0)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	syncs := fault.Calls("datasync") - base
	t.Logf("64 appends took %d fdatasyncs", syncs)
	if syncs > 64 {
		t.Errorf("%d fdatasyncs for 64 appends", syncs)
	}
}

func TestReadAtRanges(t *testing.T) {
	cfg := testConfig(t, vfs.NewCrash(), "/store")
	cfg.SuperblockSize = 2 << 20
	s := open(t, cfg)
	defer closeStore(t, s)
	data := payload(1, 5*vstack.BlockSize+777)
	mustAppend(t, s, stored(data))
	id := vstack.ChunkIDOf(data)
	ctx := context.Background()
	offsets := []int64{0, 1, vstack.BlockSize - 1, vstack.BlockSize, vstack.BlockSize + 1, 5 * vstack.BlockSize, int64(len(data)) - 1}
	for _, off := range offsets {
		for _, n := range []int{0, 1, 100, vstack.BlockSize - 1, vstack.BlockSize, vstack.BlockSize + 1, 3 * vstack.BlockSize, len(data)} {
			p := make([]byte, n)
			got, err := s.ReadAt(ctx, id, p, off)
			want := data[off:min(off+int64(n), int64(len(data)))]
			if !bytes.Equal(p[:got], want) || (err == nil) != (len(want) == n) || (err != nil && err != io.EOF) {
				t.Errorf("read %d at %d: %d bytes, error %v", n, off, got, err)
			}
		}
	}
	for _, off := range []int64{-1, int64(len(data)), int64(len(data)) + 1} {
		if _, err := s.ReadAt(ctx, id, make([]byte, 1), off); !errors.Is(err, vstack.ErrRangeInvalid) {
			t.Errorf("read at %d: %v, want ErrRangeInvalid", off, err)
		}
	}
	if _, err := s.ReadAt(ctx, vstack.ChunkID{1}, make([]byte, 1), 0); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("read of an unknown chunk: %v", err)
	}
}
