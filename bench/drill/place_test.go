package drill

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/lab/loopdisk"
	"github.com/vstack/vstack/bench/lab/program"
)

// placed opens a place in a temporary directory of its own.
func placed(t *testing.T, need lab.Needs) (*place, string) {
	t.Helper()
	if err := need.Available(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	p, err := openPlace(t.Context(), need, Options{}, program.Program{})
	if err != nil {
		t.Fatal(err)
	}
	return p, tmp
}

func left(t *testing.T, tmp string) (files, mounts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if mounts, err = loopdisk.Mounted(filepath.Join(tmp, "*", "hosts", "*", "*")); err != nil {
		t.Fatal(err)
	}
	return files, mounts
}

func TestAClosedPlaceLeavesNothing(t *testing.T) {
	for name, need := range map[string]lab.Needs{"processes": nothing, "namespaces": namespaces, "disks": disks} {
		t.Run(name, func(t *testing.T) {
			p, tmp := placed(t, need)
			if _, mounts := left(t, tmp); (len(mounts) == 3) != (need == disks) {
				t.Errorf("mounted: %v", mounts)
			}
			for _, h := range p.lab.Hosts {
				if _, err := os.Stat(h.NetNS); (err == nil) != (need == namespaces) {
					t.Errorf("host %s is in namespace %q", h.ID, h.NetNS)
				}
			}
			if d := p.lab.Disk(p.lab.Hosts[0]); d != nil {
				if err := d.Freeze(); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if files, mounts := left(t, tmp); len(files)+len(mounts) > 0 {
				t.Errorf("left: %v, mounted %v", files, mounts)
			}
			for _, h := range p.lab.Hosts {
				if _, err := os.Stat(h.NetNS); h.NetNS != "" && !os.IsNotExist(err) {
					t.Errorf("left: %s", h.NetNS)
				}
			}
		})
	}
}

func TestTheNextDrillRemovesWhatAKilledOneLeft(t *testing.T) {
	p, tmp := placed(t, disks) // never closed, as if its process had been killed
	if err := p.lab.Disk(p.lab.Hosts[0]).Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := lab.Sweep(t.Context(), purpose); err != nil {
		t.Fatal(err)
	}
	if _, mounts := left(t, tmp); len(mounts) != 3 {
		t.Errorf("a drill that has just begun was swept away: mounted %v", mounts)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(p.lab.Dir, old, old); err != nil {
		t.Fatal(err)
	}
	next, err := openPlace(t.Context(), nothing, Options{}, program.Program{})
	if err != nil {
		t.Fatal(err)
	}
	if files, mounts := left(t, tmp); len(files) != 1 || files[0] != next.lab.Dir || len(mounts) > 0 {
		t.Errorf("left: %v, mounted %v", files, mounts)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
}
