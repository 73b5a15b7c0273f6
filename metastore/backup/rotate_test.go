package backup

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/vstack/vstack/internal/vstack"
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
		_, path, removed, err := Rotate(dir, 3, now.AddDate(0, 0, day), nil, fetch)
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
		if _, _, removed, err := Rotate(dir, 1, now.AddDate(0, 1, 0), nil, fetch); err == nil || len(removed) > 0 {
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

// TestAnEncryptedBackupIsReadByItsIdentities and by nobody else, and damage is found by all.
func TestAnEncryptedBackupIsReadByItsIdentities(t *testing.T) {
	dir := t.TempDir()
	whole := save(t, small(t))
	fetch := func(w io.Writer) error { _, err := w.Write(whole); return err }
	file := func(name, body string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var ids [3]*age.X25519Identity
	for i := range ids {
		var err error
		if ids[i], err = age.GenerateX25519Identity(); err != nil {
			t.Fatal(err)
		}
	}
	to, err := Recipients(file("to", ids[0].Recipient().String()+"\n"+ids[1].Recipient().String()+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x.backup")
	info, err := SaveFile(path, to, fetch)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Contains(raw, []byte(`"title"`)) || !bytes.Contains(whole, []byte(`"title"`)) {
		t.Errorf("the catalog is readable in it: %v", err)
	}
	for i := range 2 {
		mine, err := Identities(file("id", ids[i].String()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := InspectFile(path, mine); err != nil || got != info || got.Size != int64(len(whole)) {
			t.Errorf("identity %d: %+v, %v", i, got, err)
		}
		for at := 0; at < len(raw); at += len(raw)/40 + 1 {
			bad := bytes.Clone(raw)
			bad[at] ^= 2
			if _, err := InspectFile(file("bad", string(bad)), mine); err == nil {
				t.Errorf("a flipped bit at %d is taken", at)
			}
			if _, err := InspectFile(file("cut", string(raw[:at])), mine); err == nil {
				t.Errorf("cut off at %d it is taken", at)
			}
		}
	}
	for name, who := range map[string][]age.Identity{"nobody": nil, "another": {ids[2]}} {
		if _, err := InspectFile(path, who); !errors.Is(err, vstack.ErrKeyMissing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Recipients(file("none", "no recipient")); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a file of none: %v", err)
	}
	if _, err := Identities(filepath.Join(dir, "missing")); !errors.Is(err, vstack.ErrKeyMissing) {
		t.Errorf("a file that is not there: %v", err)
	}
	cut := errors.New("cut off")
	if _, err := SaveFile(filepath.Join(dir, "y"), to, func(w io.Writer) error { _, _ = w.Write(whole[:50]); return cut }); !errors.Is(err, cut) {
		t.Errorf("a fetch that fails: %v", err)
	}
}
