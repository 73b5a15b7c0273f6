package main

import (
	"bytes"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
)

// TestAPlainStoreIsReplacedByAnEncryptedOne, in a cluster of plain stores, while films are played
// and stored: no read fails, what came is whole, and the film is in no file of the new store.
func TestAPlainStoreIsReplacedByAnEncryptedOne(t *testing.T) {
	long(t)
	needFFmpeg(t)
	s := newScenarioOf(t, lab.Spec{Plain: true, Superblock: 64 << 20, DropGrace: time.Second})
	file := clip(t, "8", "2")
	done, failed := s.uploading(0, file, 2)
	film := s.published(done, failed)
	end := s.busy(film)

	host := s.host("h2")
	old := s.storeAt(host.Config.Data.Stores[1].Addr)
	if v := s.formatOf(host.Config.Data.Stores[1].Dir); v > format.NewestPlain {
		t.Fatalf("a store of a plain lab is of format version %d", v)
	}
	ip, _, err := net.SplitHostPort(old.Addr)
	if err != nil {
		t.Fatal(err)
	}
	added := config.Store{Dir: filepath.Join(host.Dir, "stores", "new"), Addr: net.JoinHostPort(ip, "8083")}
	host.Config.Data.Stores = append(host.Config.Data.Stores, added)
	host.Config.Data.Encrypt = nil // the default: what is made is encrypted, what is there stays
	if err := config.Write(filepath.Join(host.Dir, config.File), "with a disk more", host.Config); err != nil {
		t.Fatal(err)
	}
	if err := host.Restart(); err != nil {
		t.Fatal(err)
	}
	fresh := s.storeAt(added.Addr)
	s.step("an encrypted store was added")

	var replaced struct{ Groups, Left int }
	s.vstackJSON(&replaced, "store", "replace", old.Addr, "--with", fresh.Addr, "--wait", "--yes")
	if n := s.roles(old.ID); n != 0 || replaced.Groups == 0 || replaced.Left != 0 || s.roles(fresh.ID) == 0 {
		t.Errorf("replaced: %+v; the plain store has %d roles left, the encrypted one has %d", replaced, n, s.roles(fresh.ID))
	}
	s.converged(film)
	plays, uploads := end()
	s.step("the plain store gave up %d groups; meanwhile %d playbacks and %d uploads, none of which failed", replaced.Groups, plays, uploads)

	if v := s.formatOf(added.Dir); v != format.V4 {
		t.Errorf("the new store is of format version %d", v)
	}
	if _, err := os.Stat(filepath.Join(added.Dir, keyfile.File)); err != nil {
		t.Error(err)
	}
	samples := s.samples(film)
	if plain := filesWith(t, filepath.Join(host.Dir, "stores", "new"), samples); plain != 0 {
		t.Errorf("%d of %d samples of the film are in files of the encrypted store", plain, len(samples))
	}
	if plain := filesWith(t, s.host("h1").Config.Data.Stores[0].Dir, samples) + filesWith(t, s.host("h1").Config.Data.Stores[1].Dir, samples); plain == 0 {
		t.Error("plain stores have none of them either: is the search right?")
	}
}

// formatOf is the format version that a store's directory says.
func (s *scenario) formatOf(dir string) format.Version {
	s.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "STORE"))
	if err != nil {
		s.Fatal(err)
	}
	_, v, err := format.DecodeIdentity(b)
	if err != nil {
		s.Fatal(err)
	}
	return v
}

// samples are 32 bytes out of the middle of each of a film's chunks.
func (s *scenario) samples(film vstack.VideoID) (out [][]byte) {
	s.Helper()
	m, err := s.cluster.Meta.Manifest(s.Context(), film)
	if err != nil {
		s.Fatal(err)
	}
	client, err := s.cluster.Chunks("")
	if err != nil {
		s.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // it only read
	for _, track := range m.Tracks {
		for _, c := range track.Chunks {
			f, err := client.Fetch(s.Context(), vstack.Slot{Video: film, Track: track.Number, Seq: c.Seq}, c)
			if err != nil {
				s.Fatal(err)
			}
			if n := len(f.Data); n > 4096 {
				out = append(out, bytes.Clone(f.Data[n/2:n/2+32]))
			}
			f.Release()
		}
	}
	if len(out) == 0 {
		s.Fatal("the film has no chunk to look for")
	}
	return out
}

// filesWith counts the samples that are in any file below dir.
func filesWith(t *testing.T, dir string, samples [][]byte) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, p := range samples {
			if bytes.Contains(b, p) {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
