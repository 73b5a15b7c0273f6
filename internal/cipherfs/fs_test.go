package cipherfs

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

var testKey = sealed.NewKey([sealed.KeyLen]byte{4, 5, 6})

func open(t *testing.T, fsys vfs.FS) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: fsys, FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 10, Logger: silent{t}})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

type silent struct{ t *testing.T }

func (silent) Infof(string, ...any)             {}
func (silent) Errorf(string, ...any)            {}
func (s silent) Fatalf(format string, a ...any) { s.t.Errorf(format, a...) }

const secret = "a title that is not public"

// leaks are the files that hold the secret, raw.
func leaks(t *testing.T, raw vfs.FS) (out []string, files int) {
	t.Helper()
	names, err := raw.List("db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b := content(t, raw, "db/"+name)
		if files++; bytes.Contains(b, []byte(secret)) {
			out = append(out, name)
		}
	}
	return out, files
}

func content(t *testing.T, raw vfs.FS, name string) []byte {
	t.Helper()
	f, err := raw.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestADatabaseSurvivesCrashes: with rows synced, tables flushed, logs reused and power lost
// at any moment, what was synced is there, and no file holds a plain byte of it.
func TestADatabaseSurvivesCrashes(t *testing.T) {
	rng := mathrand.New(mathrand.NewPCG(7, 7))
	for _, plain := range []bool{false, true} {
		raw := vfs.NewCrashableMem()
		on := func() vfs.FS {
			if plain {
				return raw
			}
			return New(raw, testKey, "key.age")
		}
		synced, heads, found := 0, map[string]string{}, 0
		for range 12 {
			db := open(t, on())
			for i := range synced {
				v, closer, err := db.Get(fmt.Appendf(nil, "%06d", i))
				if err != nil || !bytes.HasPrefix(v, []byte(secret)) {
					t.Fatalf("plain %t: row %d of %d: %q, %v", plain, i, synced, v, err)
				}
				_ = closer.Close()
			}
			for n := 20 + rng.IntN(200); n > 0; n-- {
				noise := make([]byte, rng.IntN(900))
				rand.Read(noise)
				if err := db.Set(fmt.Appendf(nil, "%06d", synced), append([]byte(secret), noise...), pebble.Sync); err != nil {
					t.Fatal(err)
				}
				synced++
			}
			if rng.IntN(2) == 0 {
				if err := db.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			_ = db.Set([]byte("unsynced"), []byte(secret), pebble.NoSync)
			clone := raw.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			still := raw.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}) // the database goes on removing files
			leaked, files := leaks(t, still)
			if found += len(leaked); files < 4 {
				t.Fatalf("%d files", files)
			}
			names, err := still.List("db")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if b := content(t, still, "db/"+name); !plain && len(b) > headLen {
					// The same random bytes under another name would be a log that is written over.
					if was, ok := heads[string(b[:headLen])]; ok && was != name {
						t.Errorf("%s has the key of %s", name, was)
					}
					heads[string(b[:headLen])] = name
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			raw = clone
		}
		if (found > 0) != plain {
			t.Errorf("plain %t: the secret was in %d files", plain, found)
		}
	}
}

func TestAFileIsReadFromAnyPlace(t *testing.T) {
	raw := vfs.NewMem()
	fsys := New(raw, testKey, "key.age")
	want := make([]byte, 100_000)
	rand.Read(want)
	f, err := fsys.Create("f", "")
	if err != nil {
		t.Fatal(err)
	}
	was := bytes.Clone(want)
	for rest := want; len(rest) > 0; {
		n, err := f.Write(rest[:min(len(rest), 33_333)])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if _, err := f.WriteAt([]byte("x"), 3); err == nil {
		t.Error("a file was written over")
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil || !bytes.Equal(want, was) {
		t.Errorf("%v, or what was written was changed", err)
	}
	i, err := fsys.Stat("f")
	if err != nil || i.Size() != int64(len(want)) {
		t.Errorf("it has %d bytes, %v", i.Size(), err)
	}
	if got := content(t, fsys, "f"); !bytes.Equal(got, want) {
		t.Error("read from its beginning it is another")
	}
	if f, err = fsys.Open("f"); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int{0, 1, 15, 16, 17, 4095, 99_999} {
		got := make([]byte, min(50, len(want)-at))
		if _, err := f.ReadAt(got, int64(at)); err != nil || !bytes.Equal(got, want[at:at+len(got)]) {
			t.Errorf("from %d on: %v", at, err)
		}
	}
	if _, err := f.Write([]byte("x")); err == nil && bytes.Equal(content(t, fsys, "f"), want) {
		t.Error("a file that was opened to be read takes bytes")
	}
}

func TestOtherFiles(t *testing.T) {
	raw := vfs.NewMem()
	fsys := New(raw, testKey, "key.age")
	put := func(name, body string) {
		t.Helper()
		if err := raw.MkdirAll("d", 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := raw.Create("d/"+name, "")
		if err == nil {
			_, err = f.Write([]byte(body))
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	put("short", "VSTK")
	put("zero", string(make([]byte, 100)))
	for _, name := range []string{"short", "zero"} {
		if got := content(t, fsys, "d/"+name); len(got) != 0 {
			t.Errorf("%s: a crash left it, and %d bytes are read", name, len(got))
		}
	}
	put("plain", secret+secret+secret)
	if _, err := fsys.Open("d/plain"); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("a plain file: %v", err)
	}
	put("key.age", "the key")
	if err := fsys.RemoveAll("d"); err != nil {
		t.Fatal(err)
	}
	if names, err := raw.List("d"); err != nil || len(names) != 1 || string(content(t, raw, "d/key.age")) != "the key" {
		t.Errorf("left %v, %v", names, err)
	}
	if err := New(raw, testKey, "").RemoveAll("d"); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Stat("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a key's file among them the directory is %v", err)
	}
}

// TestGolden: what the first version wrote, under testKey.
func TestGolden(t *testing.T) {
	b, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	raw := vfs.NewMem()
	f, err := raw.Create("f", "")
	if err == nil {
		_, err = f.Write(b)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if got := content(t, New(raw, testKey, ""), "f"); string(got) != secret {
		t.Errorf("%q", got)
	}
}
