package blobs

import "sync"

// InMemory makes a store that is gone with the process.
func InMemory() *Store {
	return &Store{keeper: newMemory(), orphans: map[Digest]uint64{}}
}

type memory struct {
	mu sync.RWMutex
	m  map[Digest][]byte
}

func newMemory() *memory { return &memory{m: map[Digest][]byte{}} }

func (m *memory) set(d Digest, blob []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.m[d] = append(make([]byte, 0, len(blob)), blob...)
	return nil
}

func (m *memory) get(d Digest) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.m[d], nil
}

func (m *memory) remove(ds []Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range ds {
		delete(m.m, d)
	}
	return nil
}

func (m *memory) sizes(yield func(Digest, uint32)) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for d, b := range m.m {
		yield(d, uint32(len(b)))
	}
	return nil
}

func (m *memory) sync() error         { return nil }
func (m *memory) damaged(error) error { return nil }
func (m *memory) close() error        { return nil }
