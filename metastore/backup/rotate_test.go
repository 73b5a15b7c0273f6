package backup

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOldBackupsGoOnlyOnceANewOneIsThere: a backup that fails removes nothing, and files of
// other names stay.
func TestOldBackupsGoOnlyOnceANewOneIsThere(t *testing.T) {
	dir := t.TempDir()
	whole := save(t, small(t))
	other := filepath.Join(dir, "catalog-mine.backup")
	if err := os.WriteFile(other, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	fetch := func(w io.Writer) error { _, err := w.Write(whole); return err }
	now := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	for day := range 5 {
		_, path, removed, err := Rotate(dir, 3, now.AddDate(0, 0, day), fetch)
		if err != nil || len(removed) != max(0, min(1, day-2)) {
			t.Fatalf("day %d: %s, removed %v: %v", day, path, removed, err)
		}
	}
	left := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	want := []string{"catalog-20261129T030000Z.backup", "catalog-20261130T030000Z.backup", "catalog-20261201T030000Z.backup", "catalog-mine.backup"}
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("left %v", got)
	}
	cut := errors.New("cut off")
	for name, fetch := range map[string]func(io.Writer) error{
		"the cluster does not answer": func(io.Writer) error { return cut },
		"half of it came":             func(w io.Writer) error { _, err := w.Write(whole[:len(whole)/2]); return err },
	} {
		if _, _, removed, err := Rotate(dir, 1, now.AddDate(0, 1, 0), fetch); err == nil || len(removed) > 0 {
			t.Errorf("%s: removed %v, %v", name, removed, err)
		}
		if got := left(); !slices.Equal(got, want) {
			t.Errorf("%s: left %v", name, got)
		}
	}
	if strings.Contains(strings.Join(left(), " "), "tmp") {
		t.Error("a part was left")
	}
}
