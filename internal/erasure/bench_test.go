package erasure

import (
	"bytes"
	"crypto/sha256"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/reedsolomon"

	"github.com/vstack/vstack/internal/vstack"
)

// beside runs both in turn and reports the time of each, and what ours takes of the bare
// library's: the median of the pairs, so that a machine with other work says the same.
func beside(b *testing.B, bytes int, ours, bare func() error) {
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	var ratios, mine, its []float64
	timed := func(f func() error) float64 {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start).Seconds()
	}
	for b.Loop() {
		o, l := timed(ours), timed(bare)
		ratios, mine, its = append(ratios, o/l), append(mine, o), append(its, l)
	}
	median := func(x []float64) float64 {
		slices.Sort(x)
		return x[len(x)/2]
	}
	b.ReportMetric(median(ratios), "x-bare")
	b.ReportMetric(median(mine)*1e3, "ms-ours")
	b.ReportMetric(median(its)*1e3, "ms-bare")
	b.ReportMetric(0, "ns/op") // of both together: says nothing
}

// bareShards are a chunk's fragments as the library takes them: five times 699,051 bytes.
func bareShards(b *testing.B, c *Codec, chunk []byte) ([][]byte, reedsolomon.Encoder) {
	rs, err := reedsolomon.New(3, 2, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		b.Fatal(err)
	}
	return encode(b, c, chunk), rs
}

// BenchmarkEncode makes the parities of a chunk where it lies, beside the library's over
// shards that somebody has cut already, both into the same memory.
func BenchmarkEncode(b *testing.B) {
	c := codec(b, vstack.DefaultScheme)
	chunk := payload(1, vstack.ChunkSize)
	shards, rs := bareShards(b, c, chunk)
	beside(b, len(chunk),
		func() error { return c.encode(shards[3:], chunk) },
		func() error { return rs.Encode(shards) })
}

// BenchmarkDecode makes a chunk of one data fragment and both parities without hashing it,
// beside the library's reconstruction of the same shards and the joining of them.
func BenchmarkDecode(b *testing.B) {
	c := codec(b, vstack.DefaultScheme)
	chunk := payload(1, vstack.ChunkSize)
	shards, rs := bareShards(b, c, chunk)
	some := [][]byte{nil, shards[1], nil, shards[3], shards[4]}
	v := valueOf(chunk)
	beside(b, len(chunk),
		func() error { _, err := c.assemble(v, some, []int{1, 3, 4}); return err },
		func() error {
			lost := slices.Clone(some)
			if err := rs.ReconstructData(lost); err != nil {
				return err
			}
			if joined := bytes.Join(lost[:3], nil); len(joined) < len(chunk) {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
}

// BenchmarkDecodeAndHash is what a read of a cold chunk costs, beside the hash alone.
func BenchmarkDecodeAndHash(b *testing.B) {
	c := codec(b, vstack.DefaultScheme)
	chunk := payload(1, vstack.ChunkSize)
	shards, _ := bareShards(b, c, chunk)
	some := [][]byte{nil, shards[1], nil, shards[3], shards[4]}
	v := valueOf(chunk)
	beside(b, len(chunk),
		func() error { _, err := c.Decode(v, some); return err },
		func() error { sha256.Sum256(chunk); return nil })
}
