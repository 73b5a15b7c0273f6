package superblock

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// TestAStoreOfTheFirstLevelOpens opens a directory that cc9200c wrote, with two sealed files
// and an active one: as it is, after the upgrade, and again after a restart. It holds nine
// chunks with votes for the first six, of which one is dropped, and a promise.
func TestAStoreOfTheFirstLevelOpens(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "cc9200c"))); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, vfs.OS{}, dir)
	cfg.SuperblockSize, cfg.Reserve = 64<<10, 64<<10
	s := openFirst(t, cfg)
	check := func(when string) {
		t.Helper()
		for i := range 6 {
			data := payload(uint64(i+1), 9000+i)
			got := make([]byte, len(data))
			_, err := s.ReadAt(context.Background(), vstack.ChunkIDOf(data), got, 0)
			if dropped := i == 0; dropped != (err != nil) || !dropped && !bytes.Equal(got, data) {
				t.Errorf("%s: chunk %d: %v", when, i, err)
			}
		}
		for i := range 3 {
			if _, ok := s.Lookup(vstack.ChunkIDOf(payload(uint64(i+20), 5000+i))); !ok {
				t.Errorf("%s: chunk %d without a vote is gone", when, i)
			}
		}
		votes, promises := 0, 0
		s.State(func(r Record, _ vstack.LSN) bool {
			switch r.Kind {
			case KindVote:
				votes++
			case KindPromise:
				promises++
			}
			return true
		})
		if votes != 6 || promises != 1 || len(s.Findings()) != 0 {
			t.Errorf("%s: %d votes, %d promises, findings %+v", when, votes, promises, s.Findings())
		}
	}
	check("as it is")
	before, err := os.ReadFile(filepath.Join(dir, "00000001.vsb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Upgrade(context.Background(), format.V2); err != nil {
		t.Fatal(err)
	}
	check("upgraded")
	mustAppend(t, s, stored(payload(99, 4000)))
	closeStore(t, s)
	s = openFirst(t, cfg)
	defer closeStore(t, s)
	check("upgraded and restarted")
	if after, err := os.ReadFile(filepath.Join(dir, "00000001.vsb")); err != nil || !bytes.Equal(after, before) {
		t.Errorf("a sealed file was changed by the upgrade: %v", err)
	}
	if _, ok := s.Lookup(vstack.ChunkIDOf(payload(99, 4000))); !ok {
		t.Error("what was appended after the upgrade is gone")
	}
}
