package lab

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestAbandonedIsWhatKilledProcessesLeftAndNothingElse(t *testing.T) {
	parent, now := t.TempDir(), time.Now()
	make := func(name string, age time.Duration) string {
		dir := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Join(dir, "hosts/h1"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	killed := make(tempName+"drill-killed", time.Hour)
	stay := []string{make(tempName+"drill-runs", time.Hour), make(tempName+"drill-starts", time.Second), make(tempName+"demo-another", time.Hour)}
	lock, err := os.Open(filepath.Join(stay[0], "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(stay[2], filepath.Join(parent, tempName+"drill-link")); err != nil {
		t.Fatal(err)
	}
	got := abandoned(filepath.Join(parent, tempName+"drill-*"), now)
	if len(got) != 1 || got[0] != killed {
		t.Errorf("%v, want only %s; not %v", got, killed, stay)
	}
}
