package lab

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestSweepRemovesWhatKilledProcessesLeftAndNothingElse(t *testing.T) {
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
	killed := make(tempName+"killed", time.Hour)
	stay := []string{make(tempName+"runs", time.Hour), make(tempName+"starts", time.Second), make("another", time.Hour)}
	lock, err := os.Open(filepath.Join(stay[0], "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(stay[2], filepath.Join(parent, tempName+"link")); err != nil {
		t.Fatal(err)
	}
	sweep(parent, now)
	if _, err := os.Lstat(killed); !os.IsNotExist(err) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	for _, dir := range stay {
		if _, err := os.Stat(filepath.Join(dir, "hosts/h1")); err != nil {
			t.Error(err)
		}
	}
}
