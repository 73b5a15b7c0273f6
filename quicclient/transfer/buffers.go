package transfer

import (
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// pooledMin is the smallest buffer worth keeping.
const pooledMin = 64 << 10

// classes are the sizes that are kept: a range, half a chunk, a chunk.
var classes = [...]int{256 << 10, 1 << 20, vstack.ChunkSize}

// bufferPool reuses the buffers of chunks, each of which would otherwise be zeroed and
// collected once. A buffer is put back only by its one owner.
type bufferPool struct {
	pools [len(classes)]sync.Pool
}

func (p *bufferPool) get(n int) []byte {
	if n < pooledMin {
		return make([]byte, n)
	}
	for i, size := range classes {
		if n <= size {
			if b, ok := p.pools[i].Get().(*[]byte); ok {
				return (*b)[:n]
			}
			return make([]byte, n, size)
		}
	}
	return make([]byte, n) // one of the rare oversize chunks
}

func (p *bufferPool) put(b []byte) {
	for i, size := range classes {
		if cap(b) == size {
			b = b[:0]
			p.pools[i].Put(&b)
			return
		}
	}
}
