package spool

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

func open(t *testing.T, dir string) *Spool {
	t.Helper()
	s, err := Open(dir, 0, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	return s
}

func reopen(t *testing.T, s *Spool) *Spool {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.dir)
}

func put(t *testing.T, p *Part, b []byte) {
	t.Helper()
	if n, err := p.Write(b); err != nil || n != len(b) {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func TestAPartGoesOnAtItsLastMarkWithItsHash(t *testing.T) {
	data := noise(1 << 20)
	s := open(t, t.TempDir())
	id := NewID()
	p, err := s.NewPart(id, []byte("about"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, p, data[:300_000])
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	put(t, p, data[300_000:300_100]) // not synced: a crash loses it
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if b, err := s.About(id); err != nil || string(b) != "about" {
		t.Errorf("about %q, %v", b, err)
	}
	for at := int64(300_000); at < int64(len(data)); {
		if p, err = s.OpenPart(id); err != nil {
			t.Fatal(err)
		}
		if p.Size() != at {
			t.Fatalf("the part has %d bytes, want %d", p.Size(), at)
		}
		end := min(at+250_001, int64(len(data)))
		put(t, p, data[at:end])
		if err := errors.Join(p.Sync(), p.Close()); err != nil {
			t.Fatal(err)
		}
		at = end
	}
	if p, err = s.OpenPart(id); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	got, err := content(s, p.Path())
	if err != nil || !bytes.Equal(got, data) || p.Sum() != sha256.Sum256(data) {
		t.Errorf("%d bytes of %d, %v; sum %s", len(got), len(data), err, p.Sum().Short())
	}
}

// TestDamagedMarks cuts and spoils the marks at many places: what is taken up is always a
// state that was once written, or nothing.
func TestDamagedMarksCostAMarkAndNoTruth(t *testing.T) {
	data := noise(3000)
	long := markSize
	if testKey != nil {
		long += sealed.Overhead
	}
	for at := 0; at < 2*long; at += 5 {
		for _, how := range []string{"flip", "cut"} {
			s := open(t, t.TempDir())
			id := NewID()
			p, err := s.NewPart(id, []byte("a"))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				put(t, p, data[1000*i:1000*(i+1)])
				if err := p.Sync(); err != nil {
					t.Fatal(err)
				}
			}
			path := p.file(fileSynced)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			marks, err := os.ReadFile(path)
			if err != nil || len(marks) != 2*long {
				t.Fatalf("%d bytes of marks, %v", len(marks), err)
			}
			if how == "flip" {
				marks[at] ^= 0x40
			} else {
				marks = marks[:at]
			}
			if err := os.WriteFile(path, marks, 0o600); err != nil {
				t.Fatal(err)
			}
			if p, err = s.OpenPart(id); err != nil {
				t.Fatal(err)
			}
			if n := p.Size(); n%1000 != 0 || n > 3000 || p.Sum() != sha256.Sum256(data[:n]) {
				t.Fatalf("%s at %d: %d bytes, sum %s", how, at, n, p.Sum().Short())
			}
			if how == "flip" && p.Size() < 2000 {
				t.Fatalf("flip at %d: %d bytes left, one mark is whole", at, p.Size())
			}
			if err := errors.Join(p.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAMarkBeyondTheFileIsNotBelieved(t *testing.T) {
	s := open(t, t.TempDir())
	id := NewID()
	p, err := s.NewPart(id, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		put(t, p, noise(1000))
		if err := p.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.Close(), os.Truncate(p.Path(), 1500)); err != nil {
		t.Fatal(err)
	}
	if p, err = s.OpenPart(id); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Size() != 1000 || p.Sum() != sha256.Sum256(noise(1000)) {
		t.Errorf("%d bytes", p.Size())
	}
}

func TestAStartKeepsOnlyPartsThatCanBeResumed(t *testing.T) {
	s := open(t, t.TempDir())
	kept, err := s.NewPart(NewID(), []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	gone, err := s.NewPart(NewID(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(kept.Close(), gone.Close(), os.Mkdir(s.path(dirIncoming, "half"), 0o700)); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	parts, err := s.Parts()
	entries, err2 := os.ReadDir(s.path(dirIncoming))
	if errors.Join(err, err2) != nil || len(parts) != 1 || len(entries) != 1 || parts[kept.ID].IsZero() {
		t.Errorf("parts %v, %d entries, %v %v", parts, len(entries), err, err2)
	}
	for _, id := range []string{gone.ID, NewID(), "../jobs", "", kept.ID + "0"} {
		if _, err := s.OpenPart(id); !errors.Is(err, vstack.ErrNotFound) {
			t.Errorf("part %q: %v", id, err)
		}
	}
	if err := s.RemovePart(kept.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.About(kept.ID); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("about a part that is gone: %v", err)
	}
}

func TestAPartBecomesAJobAndEnds(t *testing.T) {
	s := open(t, t.TempDir())
	p, err := s.NewPart(NewID(), []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, p, []byte("film"))
	id := vstack.UploadID{7}
	if err := errors.Join(p.Sync(), s.Adopt(p, id, []byte("one")), s.Save(id, []byte("two"))); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	jobs, strange, err := s.Jobs()
	if err != nil || len(strange) != 0 || len(jobs) != 1 || jobs[0].ID != id || string(jobs[0].State) != "two" || jobs[0].Err != nil {
		t.Fatalf("jobs %+v, %v, %v", jobs, strange, err)
	}
	b, err := content(s, s.Source(id))
	if err != nil || string(b) != "film" {
		t.Errorf("source %q, %v", b, err)
	}
	if err := s.Finish(id, []byte("end")); err != nil {
		t.Fatal(err)
	}
	jobs, _, err = s.Jobs()
	done, err2 := s.Done()
	if errors.Join(err, err2) != nil || len(jobs) != 0 || len(done) != 1 || string(done[0].State) != "end" {
		t.Errorf("jobs %v, done %v, %v %v", jobs, done, err, err2)
	}
	if err := errors.Join(s.Forget(id), s.Forget(id)); err != nil {
		t.Error(err)
	}
}

func TestJobsThatDoNotReadAreListedAndNotRemoved(t *testing.T) {
	s := open(t, t.TempDir())
	torn, strange := vstack.UploadID{1}, s.path(dirJobs, "strange")
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.Source(torn)), 0o700), os.WriteFile(s.Source(torn), []byte("film"), 0o600), os.Mkdir(strange, 0o700)); err != nil {
		t.Fatal(err)
	}
	jobs, others, err := s.Jobs()
	if err != nil || len(jobs) != 1 || jobs[0].ID != torn || jobs[0].Err == nil || len(others) != 1 || others[0] != strange {
		t.Errorf("jobs %+v, strange %v, %v", jobs, others, err)
	}
	if _, err := os.Stat(s.Source(torn)); err != nil {
		t.Error(err)
	}
}

func TestOneSpoolHasOneOwnerAndAFullDiskIsSaid(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := Open(s.dir, 0, testKey); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Room(1 << 62); !errors.Is(err, vstack.ErrDiskFull) {
		t.Errorf("room for 4 EiB: %v", err)
	}
}

// content is what was uploaded to a file.
func content(s *Spool, path string) ([]byte, error) {
	f, err := s.Vault().Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f.Reader())
}

// TestNoPlainByteIsInAnEncryptedSpool: of a part, what was said of it, its marks, a text, a job
// and its last state; a plain spool has all of them, so the search is one.
func TestNoPlainByteIsInAnEncryptedSpool(t *testing.T) {
	const secret = "the secret of a film"
	s := open(t, t.TempDir())
	search := func(when string) {
		t.Helper()
		var found []string
		err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(secret)) {
				found = append(found, path)
			}
			return err
		})
		if err != nil || (len(found) > 0) != (testKey == nil) {
			t.Errorf("%s: encrypted %t, found in %v, %v", when, testKey != nil, found, err)
		}
	}
	p, err := s.NewPart(NewID(), []byte(`{"name":"`+secret+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	put(t, p, []byte(secret)) // less than a block of SHA-256: its state holds it
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutText([]byte(secret), time.Hour); err != nil {
		t.Fatal(err)
	}
	search("a part")
	id := vstack.UploadID{7}
	if err := s.Adopt(p, id, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	search("a job")
	if err := s.Finish(id, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	search("an ended job")
	if done, err := s.Done(); err != nil || len(done) != 1 || string(done[0].State) != secret {
		t.Errorf("%+v, %v", done, err)
	}
}
