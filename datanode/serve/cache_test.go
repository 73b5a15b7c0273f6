package serve

import (
	"bytes"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestCacheKeepsWhatIsReadAgain(t *testing.T) {
	c := NewCache(250)
	body := func(n byte) []byte { return bytes.Repeat([]byte{n}, 100) }
	read := func(n byte) {
		if c.get(vstack.ChunkID{n}) == nil {
			c.offer(vstack.ChunkID{n}, body(n))
		}
	}
	has := func(n byte) bool { return bytes.Equal(c.get(vstack.ChunkID{n}), body(n)) }
	read(1)
	if has(1) {
		t.Error("a chunk read once is cached")
	}
	read(1)
	read(2)
	read(2)
	if !has(2) || !has(1) {
		t.Fatal("chunks read twice are not cached")
	}
	read(3)
	read(3) // evicts 2, which was read before 1
	if !has(1) || has(2) || !has(3) || c.bytes != 200 {
		t.Errorf("1 %v, 2 %v, 3 %v, %d bytes", has(1), has(2), has(3), c.bytes)
	}
	for n := range seenChunks {
		c.offer(vstack.ChunkID{0xff, byte(n), byte(n >> 8)}, body(0))
	}
	if len(c.seen) > seenChunks {
		t.Errorf("remembers %d chunks", len(c.seen))
	}
	big := make([]byte, 251)
	c.offer(vstack.ChunkID{9}, big)
	c.offer(vstack.ChunkID{9}, big)
	if c.get(vstack.ChunkID{9}) != nil {
		t.Error("a chunk larger than the cache is cached")
	}
}

func TestCachedChunkIsServedByRangeAndNotAfterItIsGone(t *testing.T) {
	r := newRig(t, func(_ *Config, rc *ReaderConfig) { rc.Cache = NewCache(8 << 20) })
	id, data := r.store.put(1 << 20)
	c := r.client1(t, "HTTP/2.0", r.client.ClientTLS())
	path := "/v1/chunks/" + id.String()
	for range 2 {
		r.get(t, c, "GET", path, nil)
	}
	waitFor(t, func() bool { return r.reader.cfg.Cache.get(id) != nil }) // kept after the answer left
	r.store.mu.Lock()
	r.store.damaged[id] = true // the disk is not asked any more
	r.store.mu.Unlock()
	if resp, body := r.get(t, c, "GET", path, nil); resp.StatusCode != 200 || !bytes.Equal(body, data) {
		t.Errorf("whole: %d, %d bytes", resp.StatusCode, len(body))
	}
	if resp, body := r.get(t, c, "GET", path, map[string]string{"Range": "bytes=7-20"}); resp.StatusCode != 206 || !bytes.Equal(body, data[7:21]) {
		t.Errorf("range: %d, %d bytes", resp.StatusCode, len(body))
	}
	r.store.mu.Lock()
	delete(r.store.chunks, id)
	r.store.mu.Unlock()
	if resp, _ := r.get(t, c, "GET", path, nil); resp.StatusCode != 404 {
		t.Errorf("dropped: %d", resp.StatusCode)
	}
}
