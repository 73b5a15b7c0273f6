package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestContract is what every FS must do alike.
func TestContract(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) (FS, string){
		"OS":            func(t *testing.T) (FS, string) { return OS{}, t.TempDir() },
		"Crash":         func(t *testing.T) (FS, string) { c := NewCrash(); must(t, c.MkdirAll("/d", 0o755)); return c, "/d" },
		"Fault over OS": func(t *testing.T) (FS, string) { return NewFault(OS{}), t.TempDir() },
		"after a crash": func(t *testing.T) (FS, string) {
			c := NewCrash()
			must(t, c.MkdirAll("/d", 0o755))
			return c.Crash(rand.New(rand.NewPCG(1, 1))), "/d"
		},
		"Crash's Clone": func(t *testing.T) (FS, string) {
			c := NewCrash()
			must(t, c.MkdirAll("/d", 0o755))
			return c.Clone(), "/d"
		},
		"relative names": func(t *testing.T) (FS, string) { t.Chdir(t.TempDir()); return OS{}, "." },
	} {
		t.Run(name, func(t *testing.T) {
			for part, check := range contract {
				t.Run(part, func(t *testing.T) {
					fsys, dir := make(t)
					check(t, fsys, dir)
				})
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func create(t *testing.T, fsys FS, name string, data string) File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(data), 0)
	must(t, err)
	return f
}

func content(t *testing.T, fsys FS, name string) string {
	t.Helper()
	b, err := ReadFile(fsys, name, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return "(absent)"
	}
	must(t, err)
	return string(b)
}

var contract = map[string]func(t *testing.T, fsys FS, dir string){
	"names": func(t *testing.T, fsys FS, dir string) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		must(t, create(t, fsys, a, "A").Close())
		must(t, create(t, fsys, b, "B").Close())
		_, err := fsys.Create(a)
		wantErr(t, err, fs.ErrExist)
		_, err = fsys.Open(filepath.Join(dir, "none"))
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.Create(filepath.Join(dir, "no", "such", "dir"))
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.Stat(filepath.Join(dir, "none"))
		wantErr(t, err, fs.ErrNotExist)
		wantErr(t, fsys.Remove(filepath.Join(dir, "none")), fs.ErrNotExist)
		wantErr(t, fsys.Rename(filepath.Join(dir, "none"), b), fs.ErrNotExist)
		must(t, fsys.MkdirAll(filepath.Join(dir, "sub", "sub"), 0o755))
		names, err := fsys.ReadDir(dir)
		if must(t, err); len(names) != 3 || names[0] != "a" || names[2] != "sub" {
			t.Errorf("names %q", names)
		}
		must(t, fsys.Rename(a, b))
		if content(t, fsys, b) != "A" || content(t, fsys, a) != "(absent)" {
			t.Error("rename does not replace")
		}
		info, err := fsys.Stat(b)
		if must(t, err); info.Size() != 1 || info.IsDir() || info.Name() != "b" {
			t.Errorf("stat %v", info)
		}
		must(t, fsys.SyncDir(dir))
		wantErr(t, fsys.SyncDir(filepath.Join(dir, "none")), fs.ErrNotExist)
		if free, err := fsys.Free(dir); err != nil || free <= 0 {
			t.Errorf("free: %d, %v", free, err)
		}
		here, err := fsys.Device(dir)
		must(t, err)
		if above, err := fsys.Device(filepath.Dir(dir)); err != nil || above != here {
			t.Errorf("device %d, of its parent %d, %v", here, above, err)
		}
	},
	"content": func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "f"), "hello")
		n, err := f.WritevAt([][]byte{[]byte("one "), {}, []byte("two "), []byte("three")}, 10)
		if must(t, err); n != 13 {
			t.Errorf("wrote %d", n)
		}
		b := make([]byte, 100)
		got, err := f.ReadAt(b, 0)
		if wantErr(t, err, io.EOF); string(b[:got]) != "hello\x00\x00\x00\x00\x00one two three" {
			t.Errorf("content %q", b[:got])
		}
		_, err = f.ReadAt(b[:1], 99)
		wantErr(t, err, io.EOF)
		must(t, f.Preallocate(5000))
		size, err := f.Size()
		if must(t, err); size != 5000 {
			t.Errorf("size %d after preallocating", size)
		}
		must(t, f.Preallocate(100)) // does not shrink
		if size, _ = f.Size(); size != 5000 {
			t.Errorf("size %d after preallocating less", size)
		}
		must(t, f.Truncate(7))
		must(t, f.Truncate(12))
		got, _ = f.ReadAt(b, 0)
		if string(b[:got]) != "hello\x00\x00\x00\x00\x00\x00\x00" {
			t.Errorf("content %q: cut bytes came back", b[:got])
		}
		must(t, errors.Join(f.Datasync(), f.Sync(), f.Evict()))
		must(t, f.Close())
		_, err = f.ReadAt(b, 0)
		wantErr(t, err, fs.ErrClosed)
	},
	"many buffers": func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "f"), "")
		var bufs [][]byte
		var want []byte
		for i := range 3000 { // beyond IOV_MAX
			b := bytes.Repeat([]byte{byte(i)}, i%7)
			bufs, want = append(bufs, b), append(want, b...)
		}
		n, err := f.WritevAt(bufs, 3)
		if must(t, err); n != int64(len(want)) || len(bufs[6]) != 6 {
			t.Errorf("wrote %d of %d, or changed the caller's buffers", n, len(want))
		}
		got := make([]byte, len(want))
		_, err = f.ReadAt(got, 3)
		if must(t, err); !bytes.Equal(got, want) {
			t.Error("other bytes")
		}
		must(t, f.Close())
	},
	"next data": func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "f"), "")
		must(t, f.Preallocate(1<<20))
		_, err := f.WriteAt([]byte("x"), 700000)
		must(t, err)
		must(t, f.Sync())
		at, err := f.NextData(0)
		if must(t, err); at > 700000 {
			t.Errorf("skipped data: %d", at)
		}
		at, err = f.NextData(2 << 20)
		if must(t, err); at != 1<<20 {
			t.Errorf("beyond the end: %d", at)
		}
		must(t, f.Close())
	},
	"an open file outlives its name": func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		f := create(t, fsys, name, "still here")
		must(t, fsys.Remove(name))
		b := make([]byte, 10)
		if _, err := f.ReadAt(b, 0); err != nil || string(b) != "still here" {
			t.Errorf("%q, %v", b, err)
		}
		must(t, f.Close())
	},
	"locks": func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "LOCK")
		l, err := fsys.Lock(name)
		must(t, err)
		_, err = fsys.Lock(name)
		wantErr(t, err, ErrLocked)
		must(t, l.Close())
		l, err = fsys.Lock(name)
		must(t, err)
		must(t, l.Close())
	},
	"whole files": func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		must(t, WriteFile(fsys, name, []byte("first"), 0o600))
		must(t, WriteFile(fsys, name, []byte("2nd"), 0o600))
		if got := content(t, fsys, name); got != "2nd" {
			t.Errorf("content %q", got)
		}
		if _, err := ReadFile(fsys, name, 2); err == nil {
			t.Error("read beyond the limit")
		}
		names, err := fsys.ReadDir(dir)
		if must(t, err); len(names) != 1 {
			t.Errorf("left behind: %q", names)
		}
	},
}

// crashes returns the contents of a file over many power losses.
func crashes(t *testing.T, c *Crash, name string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for seed := range uint64(300) {
		out[content(t, c.Crash(rand.New(rand.NewPCG(seed, 0))), name)]++
	}
	return out
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	c := NewCrash()
	f := create(t, c, "/f", "synced")
	must(t, f.Sync())
	if got := crashes(t, c, "/f"); got["(absent)"] == 0 || got["synced"] == 0 || len(got) != 2 {
		t.Errorf("name not synced: %v", got)
	}
	must(t, c.SyncDir("/"))
	if got := crashes(t, c, "/f"); got["synced"] != 300 {
		t.Errorf("all synced: %v", got)
	}
	_, err := f.WriteAt([]byte("SYNCED"), 0)
	must(t, err)
	got := crashes(t, c, "/f")
	if got["synced"] == 0 || got["SYNCED"] == 0 {
		t.Errorf("an unsynced write must be kept in some crashes and lost in others: %v", got)
	}
	must(t, f.Datasync())
	if got := crashes(t, c, "/f"); got["SYNCED"] != 300 {
		t.Errorf("after the next sync: %v", got)
	}
	must(t, c.Rename("/f", "/g"))
	both := 0
	for seed := range uint64(100) {
		d := c.Crash(rand.New(rand.NewPCG(seed, 0)))
		if (content(t, d, "/f") == "SYNCED") == (content(t, d, "/g") == "SYNCED") {
			both++
		}
	}
	if both != 0 {
		t.Errorf("%d of 100 unsynced renames tore", both)
	}
	if content(t, c.Clone(), "/g") != "SYNCED" {
		t.Error("a clone lost what was written")
	}
}

func TestCrashLosesSectorsInAnyOrder(t *testing.T) {
	c := NewCrash()
	f := create(t, c, "/f", string(make([]byte, 3*sectorSize)))
	must(t, errors.Join(f.Sync(), c.SyncDir("/")))
	for s := range int64(3) {
		_, err := f.WriteAt(bytes.Repeat([]byte{1}, sectorSize), s*sectorSize)
		must(t, err)
	}
	seen := map[[3]byte]bool{}
	torn := 0
	for got := range crashes(t, c, "/f") {
		if got[0] != got[sectorSize-1] {
			torn++
		}
		seen[[3]byte{got[0], got[sectorSize], got[2*sectorSize]}] = true
	}
	if torn == 0 {
		t.Error("no sector tore")
	}
	if len(seen) != 8 {
		t.Errorf("%d of 8 combinations of three sectors", len(seen))
	}
}

func TestCrashForgetsTruncationWithoutSync(t *testing.T) {
	c := NewCrash()
	f := create(t, c, "/f", "0123456789")
	must(t, errors.Join(f.Sync(), c.SyncDir("/")))
	must(t, f.Truncate(4))
	must(t, f.Datasync()) // does not promise a smaller size
	if got := crashes(t, c, "/f"); got["0123"] == 0 || got["0123456789"] == 0 {
		t.Errorf("after fdatasync: %v", got)
	}
	must(t, f.Sync())
	if got := crashes(t, c, "/f"); got["0123"] != 300 {
		t.Errorf("after fsync: %v", got)
	}
}

func TestWriteFileIsAllOrNothing(t *testing.T) {
	c := NewCrash()
	must(t, WriteFile(c, "/f", []byte("before"), 0o600))
	var outcomes []string
	c.OnWrite(func(string, string) {
		for seed := range uint64(50) {
			outcomes = append(outcomes, content(t, c.Crash(rand.New(rand.NewPCG(seed, 9))), "/f"))
		}
	})
	must(t, WriteFile(c, "/f", []byte("after!"), 0o600))
	for _, got := range outcomes {
		if got != "before" && got != "after!" {
			t.Fatalf("a crash left %q", got)
		}
	}
	if got := crashes(t, c, "/f"); got["after!"] != 300 || len(outcomes) < 100 {
		t.Errorf("after return: %v, %d crashes tried", got, len(outcomes))
	}
}

func TestFault(t *testing.T) {
	f := NewFault(NewCrash())
	f.Set(Rule{Op: "write", Nth: 2, Err: syscall.EIO, Short: true})
	file := create(t, f, "/f", "ok")
	_, err := file.WriteAt([]byte("half"), 2)
	wantErr(t, err, syscall.EIO)
	if got := content(t, f, "/f"); got != "okha" {
		t.Errorf("after a short write: %q", got)
	}
	_, err = file.WriteAt([]byte("!"), 0)
	must(t, err)
	if f.Fired() != 1 || f.Matched() != 3 || f.Calls("write") != 3 || f.Calls("create") != 1 {
		t.Errorf("fired %d, matched %d, writes %d", f.Fired(), f.Matched(), f.Calls("write"))
	}
	f.Set(Rule{Op: "change", Nth: 1, Sticky: true, Name: "/g", Err: syscall.ENOSPC})
	must(t, file.Datasync())
	for range 2 {
		_, err = f.OpenFile("/g", os.O_RDWR|os.O_CREATE, 0o600)
		wantErr(t, err, syscall.ENOSPC)
	}
	must(t, file.Close())
}

func TestLimit(t *testing.T) {
	c := NewCrash()
	c.Limit(1000)
	f := create(t, c, "/f", "x")
	wantErr(t, f.Preallocate(2000), syscall.ENOSPC)
	must(t, f.Preallocate(900))
	_, err := f.WriteAt(make([]byte, 200), 850)
	wantErr(t, err, syscall.ENOSPC)
	if free, err := c.Free("/"); err != nil || free != 100 {
		t.Errorf("free %d, %v", free, err)
	}
}

// A private key must not be readable for a moment, nor a certificate hidden by a umask, and
// what a crash left under the temporary name must not lend its permissions.
func TestWriteFileGivesItsPermissions(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	for name, perm := range map[string]fs.FileMode{"key": 0o600, "cert": 0o644} {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path+".tmp", []byte("left by a crash"), 0o640))
		must(t, WriteFile(OS{}, path, []byte("new"), perm))
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != perm {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), perm)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "new" {
			t.Errorf("%s holds %q (%v)", name, b, err)
		}
		if _, err := os.Stat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the temporary file of %s is left: %v", name, err)
		}
	}
}
