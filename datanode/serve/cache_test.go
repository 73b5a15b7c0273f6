package serve

import (
	"bytes"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// keeping is a cache and the memory that it shares.
type keeping struct {
	*Cache
	from *Buffers
}

func newKeeping(t testing.TB, limit int64) keeping {
	t.Helper()
	c, err := NewCache(limit)
	if err != nil {
		t.Fatal(err)
	}
	return keeping{c, NewBuffers(8 * vstack.MaxChunkSize)}
}

// read is a read of a chunk of 64 KiB, and reports whether it was in the cache.
func (k keeping) read(n uint16) bool {
	id := vstack.ChunkID{byte(n >> 8), byte(n), 1}
	if s := k.get(id); s != nil {
		defer s.leave()
		return s.buf.Bytes[0] == byte(n)
	}
	s := share(k.from.memory(step))
	s.buf.Bytes[0] = byte(n)
	k.offer(id, s)
	s.leave()
	return false
}

func TestWhatIsReadOnceDoesNotPushOutWhatIsReadOften(t *testing.T) {
	k := newKeeping(t, 64*step)
	for range 10 {
		for n := range uint16(40) {
			k.read(n)
		}
	}
	for n := range uint16(5000) {
		k.read(1000 + n)
	}
	kept := 0
	for n := range uint16(40) {
		if k.read(n) {
			kept++
		}
	}
	if kept < 36 {
		t.Errorf("%d of 40 are kept", kept)
	}
	if n := k.bytes(); n > 64*step {
		t.Errorf("%d bytes are kept, more than %d", n, 64*step)
	}
}

func TestWhatIsNotKeptGoesBack(t *testing.T) {
	k := newKeeping(t, 4*step)
	for n := range uint16(1000) {
		k.read(n)
	}
	k.from.mu.Lock()
	defer k.from.mu.Unlock()
	// Of one read at a time a few blocks are made, and come back again and again.
	if n := int64(len(k.from.idle[0]))*step + k.bytes(); n > 6*step {
		t.Errorf("%d bytes were made for one read at a time and a cache of %d", n, 4*step)
	}
}

func TestAChunkThatIsReadIsNotOverwrittenWhenItIsPushedOut(t *testing.T) {
	k := newKeeping(t, 2*step)
	k.read(7)
	s := k.get(vstack.ChunkID{0, 7, 1})
	if s == nil {
		t.Fatal("it is not kept")
	}
	for range 50 {
		for n := range uint16(20) {
			k.read(100 + n)
		}
	}
	if s.buf.Bytes[0] != 7 {
		t.Error("its memory is another's")
	}
	s.leave()
	if s.join() && k.get(vstack.ChunkID{0, 7, 1}) == nil {
		t.Error("whose last user has left is joined")
	}
}

func TestAChunkLargerThanTheCacheIsNotKept(t *testing.T) {
	k := newKeeping(t, step/2)
	k.read(1)
	if k.read(1) {
		t.Error("it is")
	}
}

func TestCachedChunkIsServedByRangeAndNotAfterItIsGone(t *testing.T) {
	r := newRig(t, func(_ *Config, rc *ReaderConfig) { rc.Cache = newKeeping(t, 8<<20).Cache })
	id, data := r.store.put(1 << 20)
	c := r.client1(t, "HTTP/2.0", r.client.ClientTLS())
	path := "/v1/chunks/" + id.String()
	r.get(t, c, "GET", path, nil)
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
