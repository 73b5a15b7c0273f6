package serve

import (
	"context"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// full is a store that has every chunk, of zeros.
type full struct{ reads *atomic.Int64 }

func (full) Size(vstack.ChunkID) (uint32, bool) { return vstack.ChunkSize, true }

func (f full) ReadAt(_ context.Context, _ vstack.ChunkID, p []byte, _ int64) (int, error) {
	f.reads.Add(1)
	return len(p), nil
}

// sink takes an answer.
type sink struct{ h http.Header }

func (s sink) Header() http.Header         { return s.h }
func (s sink) WriteHeader(int)             {}
func (s sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkReadOfAWorkingSet reads whole chunks, some of them more often than others, of a
// set that is larger or smaller than the cache of 64 chunks.
func BenchmarkReadOfAWorkingSet(b *testing.B) {
	for _, chunks := range []int{48, 128, 512, 4096} {
		b.Run(strconv.Itoa(chunks), func(b *testing.B) {
			cache, err := NewCache(64 * vstack.ChunkSize)
			if err != nil {
				b.Fatal(err)
			}
			var reads atomic.Int64
			r, err := NewReader(ReaderConfig{Store: full{&reads}, Buffers: NewBuffers(256 << 20), Cache: cache, Gate: NewGate(64), Latency: NewLatency()})
			if err != nil {
				b.Fatal(err)
			}
			zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 8, uint64(chunks-1))
			reqs := make([]*http.Request, chunks)
			for i := range reqs {
				id := vstack.ChunkID{byte(i >> 8), byte(i), 1}
				reqs[i], _ = http.NewRequest(http.MethodGet, "https://x/v1/chunks/"+id.String(), nil)
				reqs[i].SetPathValue("sha256", id.String())
				reqs[i].RemoteAddr = "10.0.0.1:1"
			}
			read := func(n int) {
				for range n {
					r.ServeHTTP(sink{http.Header{}}, reqs[zipf.Uint64()])
				}
			}
			read(2 * chunks)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			before := reads.Load()
			read(b.N)
			b.ReportMetric(float64(reads.Load()-before)/float64(b.N), "disk/op")
		})
	}
}
