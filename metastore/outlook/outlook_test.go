package outlook

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

func TestABackupIsRememberedAcrossARestart(t *testing.T) {
	dir := t.TempDir()
	open := func() *Backups {
		t.Helper()
		b, err := OpenBackups(dir)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	if b.Last() != 0 {
		t.Errorf("a new member remembers a backup of %v", b.Last())
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := b.Taken(at); err != nil {
		t.Fatal(err)
	}
	if got := open().Last(); got != float64(at.Unix()) {
		t.Errorf("after a restart: %v, want %v", got, at.Unix())
	}
	if err := os.WriteFile(filepath.Join(dir, "backup-taken"), []byte("yesterday"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := open().Last(); got != 0 {
		t.Errorf("of a file that says nothing: %v, want none", got)
	}
}

func TestGroupsAreCountedByTheirVotersAndNotByTheirTails(t *testing.T) {
	id := func(n byte) vstack.StoreID { return vstack.StoreID{n} }
	m := &vstack.PlacementMap{Groups: []vstack.PGTargets{
		{Targets: []vstack.StoreID{id(1), id(2), id(3), id(4)}}, // the tail is down
		{Targets: []vstack.StoreID{id(1), id(4), id(5), id(2)}},
	}}
	for n := range byte(5) {
		st := vstack.Store{ID: id(n + 1), State: vstack.StoreUp}
		if n >= 3 {
			st.State = vstack.StoreDown
		}
		m.Stores = append(m.Stores, st)
	}
	if got, want := votes(m), [...]int{0, 1, 0, 1}; got != want {
		t.Errorf("groups by acceptors that are up: %v, want %v", got, want)
	}
}
