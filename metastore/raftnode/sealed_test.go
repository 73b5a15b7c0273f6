package raftnode

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

// TestAnEncryptedMemberGoesOn: it opens again with its key, and by no other; a program that
// has none changes nothing.
func TestAnEncryptedMemberGoesOn(t *testing.T) {
	g, key := newGroup(t, 1), sealed.Passing()
	with := func(k *sealed.Key) func(*Config) { return func(c *Config) { c.Key = k } }
	secret := []byte("a title that is not public")
	dir := filepath.Join(g.dir, "h1")
	for round := range 2 {
		g.start(0, with(key))
		g.apply(string(secret))
		if n := g.fsms[0].count(); n != round+1 {
			t.Errorf("round %d: %d entries were applied", round, n)
		}
		if err := g.nodes[0].Close(); err != nil {
			t.Fatal(err)
		}
		g.nodes[0] = nil
		for _, name := range []string{"raft.db", originFile} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || bytes.Contains(b, secret) {
				t.Errorf("%s: %v, or the entry is readable in it", name, err)
			}
		}
	}
	for name, k := range map[string]*sealed.Key{"no key": nil, "another key": sealed.Passing()} {
		cfg := g.config(0)
		cfg.Key = k
		n, err := Open(cfg)
		if err == nil {
			_ = n.Close()
		}
		if err == nil || k == nil && !errors.Is(err, vstack.ErrKeyMissing) {
			t.Errorf("with %s: %v", name, err)
		}
	}
	g.start(0, with(key))
}
