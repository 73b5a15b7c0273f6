package superblock

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

func benchConfig(dir string) Config {
	return Config{Dir: dir, Keys: bareKeys{}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// BenchmarkDurable2MiB stores 2 MiB chunks in three stores on one disk at once, and
// beside it, in the same run, writes and syncs the same bytes into three plain files.
// in-flight is per store.
func BenchmarkDurable2MiB(b *testing.B) {
	data := payload(1, vstack.ChunkSize)
	for _, inFlight := range []int{1, 8} {
		b.Run(fmt.Sprintf("plain/in-flight=%d", inFlight), func(b *testing.B) {
			var files [3]vfs.File
			for i := range files {
				f, err := vfs.OS{}.Create(filepath.Join(b.TempDir(), "f"))
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close() //nolint:errcheck // a benchmark's scratch file
				files[i] = f
			}
			var ends [3]atomic.Int64
			durable(b, inFlight, func(store, _ int) error {
				f := files[store]
				if _, err := f.WriteAt(data, ends[store].Add(vstack.ChunkSize)-vstack.ChunkSize); err != nil {
					return err
				}
				return f.Datasync()
			})
		})
		b.Run(fmt.Sprintf("append/in-flight=%d", inFlight), func(b *testing.B) {
			var stores [3]*Store
			for i := range stores {
				stores[i] = open(b, benchConfig(b.TempDir()))
				defer closeStore(b, stores[i])
				mustAppend(b, stores[i], stored(payload(2, 1))) // makes the first superblock
			}
			put := voted(data, slotOf(1, 0), 0)
			durable(b, inFlight, func(store, i int) error {
				rec := put // the store does not hash, so neither does the benchmark
				rec.Slot.Seq, rec.Value.Chunk = uint32(i), benchID(i)
				_, err := stores[store].Append(context.Background(), rec)
				return err
			})
		})
	}
}

func benchID(i int) (id vstack.ChunkID) {
	binary.BigEndian.PutUint64(id[:], uint64(i+1)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	return id
}

// durable runs put b.N times on each of three stores with a number in flight on each,
// and reports the rate and the median.
func durable(b *testing.B, inFlight int, put func(store, i int) error) {
	b.SetBytes(3 * vstack.ChunkSize)
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	b.ResetTimer()
	for store := range 3 {
		var next atomic.Int64
		for range inFlight {
			wg.Go(func() {
				for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
					start := time.Now()
					if err := put(store, i); err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(start))
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	if len(took) > 0 {
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	}
}

func BenchmarkAppendSmall(b *testing.B) {
	for _, inFlight := range []int{1, 64} {
		b.Run(fmt.Sprintf("4KiB/in-flight=%d", inFlight), func(b *testing.B) {
			s := open(b, benchConfig(b.TempDir()))
			defer closeStore(b, s)
			data := payload(2, 4096)
			var next atomic.Int64
			b.SetParallelism((inFlight + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(next.Add(1))
					rec := voted(data, slotOf(1, uint32(i)), 0)
					rec.Value.Chunk = benchID(i)
					mustAppend(b, s, rec)
				}
			})
		})
	}
}

// BenchmarkReadAt reads whole 2 MiB chunks from the page cache in pieces, and beside
// it copies as many bytes by plain pread.
func BenchmarkReadAt(b *testing.B) {
	s := open(b, benchConfig(b.TempDir()))
	defer closeStore(b, s)
	const chunks = 16
	for i := range chunks {
		rec := stored(payload(uint64(i), vstack.ChunkSize))
		rec.Value.Chunk = benchID(i)
		mustAppend(b, s, rec)
	}
	for _, piece := range []int{64 << 10, 256 << 10, vstack.ChunkSize} {
		buf := make([]byte, piece)
		b.Run(fmt.Sprintf("checked/%dKiB", piece>>10), func(b *testing.B) {
			b.SetBytes(vstack.ChunkSize)
			for i := range b.N {
				for off := int64(0); off < vstack.ChunkSize; off += int64(piece) {
					if _, err := s.ReadAt(context.Background(), benchID(i%chunks), buf, off); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run(fmt.Sprintf("pread/%dKiB", piece>>10), func(b *testing.B) {
			b.SetBytes(vstack.ChunkSize)
			for i := range b.N {
				e, _ := s.ix.Chunk(benchID(i % chunks))
				for off := int64(0); off < vstack.ChunkSize; off += int64(piece) {
					if _, err := s.active.f.ReadAt(buf, e.Offset()+512+off); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// generate makes a store directory of sealed superblocks with chunks records each, as
// if each were 2 MiB, without writing the data: the files are sparse.
func generate(tb testing.TB, dir string, files, records int) {
	s := open(tb, benchConfig(dir))
	id := s.ID()
	closeStore(tb, s)
	lsn := vstack.LSN(0)
	for f := range files {
		h := format.FileHeader{Version: format.V1, ID: uint32(f + 1), Store: id, Salt: uint64(f) * 977, Base: lsn}
		file, err := vfs.OS{}.Create(filepath.Join(dir, fileName(h.ID)))
		if err != nil {
			tb.Fatal(err)
		}
		sb := newSuperblock(file, fileName(h.ID), h, nil)
		for range records {
			lsn++
			rec := voted([]byte{1}, slotOf(byte(f/100), uint32(lsn)), 0)
			rec.Data, rec.Value = nil, vstack.Value{Chunk: benchID(int(lsn)), Size: vstack.ChunkSize}
			off := format.Align(sb.end, format.GroupAlign)
			hd := format.Header{Version: format.V1, Record: rec, DataLen: vstack.ChunkSize, LSN: lsn, Group: off, BatchCount: 1, Flags: format.FlagGroupEnd, Salt: h.Salt}
			b := make([]byte, format.Shape{Version: format.V1, Data: hd.DataLen}.HeaderLen())
			hd.Encode(b, make([]uint32, vstack.ChunkSize/vstack.BlockSize), nil)
			if _, err := file.WriteAt(b, off); err != nil {
				tb.Fatal(err)
			}
			sb.add(b, &hd, off)
		}
		if _, err := file.WriteAt(h.Encode(), 0); err != nil {
			tb.Fatal(err)
		}
		if _, err := file.WritevAt([][]byte{sb.entries, sb.trailer().Encode()}, sb.trailer().Footer); err != nil {
			tb.Fatal(err)
		}
		if err := file.Close(); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a store of 1,000 sealed superblocks of 512 chunks: 1 TB. It
// reports memory per chunk, slots and votes included.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	const files, records = 1000, 512
	generate(b, dir, files, records)
	b.ResetTimer()
	for range b.N {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		s := open(b, benchConfig(dir))
		took := time.Since(start)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(files*records), "B/chunk+vote")
		b.ReportMetric(took.Seconds(), "s/open")
		if st := s.Stats(); st.Chunks != files*records || st.Findings != 0 {
			b.Fatalf("stats %+v", st)
		}
		start = time.Now()
		n := 0
		s.State(func(Record, vstack.LSN) bool { n++; return true })
		b.ReportMetric(time.Since(start).Seconds(), "s/state")
		if n != files*records {
			b.Fatalf("%d votes", n)
		}
		closeStore(b, s)
	}
}

func BenchmarkLookup(b *testing.B) {
	dir := b.TempDir()
	generate(b, dir, 200, 512)
	s := open(b, benchConfig(dir))
	defer closeStore(b, s)
	b.ResetTimer()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for i := int(next.Add(1)) * 7919; pb.Next(); i++ {
			if _, ok := s.Lookup(benchID(1 + i%(200*512))); !ok {
				b.Fatal("not found")
			}
		}
	})
}

// TestOpeningReadsFootersOnly holds the size of what Open reads to the footers.
func TestOpeningReadsFootersOnly(t *testing.T) {
	dir := t.TempDir()
	generate(t, dir, 5, 512)
	fault := vfs.NewFault(vfs.OS{})
	cfg := benchConfig(dir)
	cfg.FS = fault
	s := open(t, cfg)
	want := 5*3 + 1
	if appendAs == format.V4 {
		want++ // the key, which generate's store has
	}
	if reads := fault.Calls("read"); reads != want {
		t.Errorf("%d reads for 5 sealed files, want %d: header, trailer, footer, and the identity", reads, want)
	}
	if got := s.Stats(); got.Chunks != 5*512 || got.Slots != 5*512 {
		t.Errorf("stats %+v", got)
	}
	closeStore(t, s)
}
