package source

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

var vault = Vault{Key: sealed.NewKey([sealed.KeyLen]byte{7})}

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func all(v Vault, path string) ([]byte, error) {
	f, err := v.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f.Reader())
	if err == nil && int64(len(b)) != f.Size() {
		err = fmt.Errorf("%d bytes, it says %d", len(b), f.Size())
	}
	return b, err
}

// TestAFileGoesOnWhereItWasSynced: written in pieces, synced now and then, torn by crashes
// that leave of what came later any part, and opened again at the last sync.
func TestAFileGoesOnWhereItWasSynced(t *testing.T) {
	for _, v := range []Vault{{}, vault} {
		rng := rand.New(rand.NewPCG(3, 4))
		for round := range 30 {
			path := filepath.Join(t.TempDir(), "source")
			w, err := v.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
			want, size := noise(rng.IntN(700_000)+1), 0
			for size < len(want) {
				n := min(len(want)-size, 1+rng.IntN(1<<rng.IntN(19)))
				if k, err := w.Write(want[size : size+n]); k != n || err != nil {
					t.Fatal(k, err)
				}
				size += n
				if rng.IntN(4) > 0 {
					continue
				}
				if err := w.Sync(); err != nil {
					t.Fatal(err)
				}
				got, err := all(v, path)
				if err != nil || !bytes.Equal(got, want[:size]) {
					t.Fatalf("round %d: synced at %d: %d bytes, %v", round, size, len(got), err)
				}
				more := noise(rng.IntN(3000)) // which no sync follows
				if len(more) > 0 {
					copy(more, want[size:])
				}
				if _, err := w.Write(more); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if extra := info.Size() - v.OnDisk(int64(size)); extra > 0 { // the crash keeps a part
					if err := os.Truncate(path, v.OnDisk(int64(size))+rng.Int64N(extra+1)); err != nil {
						t.Fatal(err)
					}
				}
				if w, err = v.Append(path, int64(size)); err != nil {
					t.Fatal(err)
				}
				if got, err := all(v, path); err != nil || !bytes.Equal(got, want[:size]) {
					t.Fatalf("round %d: opened again at %d: %d bytes, %v", round, size, len(got), err)
				}
			}
			if err := errors.Join(w.Sync(), w.Close()); err != nil {
				t.Fatal(err)
			}
			if got, err := all(v, path); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("round %d: %d bytes of %d: %v", round, len(got), len(want), err)
			}
		}
	}
}

func made(t *testing.T, v Vault, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	w, err := v.Create(path)
	if err == nil {
		_, err = w.Write(data)
	}
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileIsReadFromAnyPlace(t *testing.T) {
	want := noise(3<<20 + 5)
	for _, v := range []Vault{{}, vault} {
		f, err := v.Open(made(t, v, want))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, 1, 15, 16, 17, 1 << 20, len(want) - 1, len(want) - 20} {
			for _, n := range []int{1, 16, 33, 2 << 20} {
				p := make([]byte, n)
				k, err := f.ReadAt(p, int64(at))
				if !bytes.Equal(p[:k], want[at:min(len(want), at+n)]) || (k < n) != errors.Is(err, io.EOF) {
					t.Errorf("%d bytes at %d: %d, %v", n, at, k, err)
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoPlainByteIsOnTheDisk(t *testing.T) {
	secret := []byte("a frame of a private film")
	data := bytes.Repeat(secret, 5000)
	for _, v := range []Vault{{}, vault} {
		b, err := os.ReadFile(made(t, v, data))
		if err != nil || bytes.Contains(b, secret) == (v.Key != nil) {
			t.Errorf("encrypted %t: found %t, %v", v.Key != nil, bytes.Contains(b, secret), err)
		}
	}
	a, err := os.ReadFile(made(t, vault, data))
	b, err2 := os.ReadFile(made(t, vault, data))
	if err != nil || err2 != nil || bytes.Equal(a[:16], b[:16]) {
		t.Errorf("two files of the same bytes are encrypted alike: %v, %v", err, err2)
	}
}

// TestAPlainFileStaysPlain: an earlier program may have left one in an encrypted spool.
func TestAPlainFileStaysPlain(t *testing.T) {
	path := made(t, Vault{}, []byte("before"))
	w, err := vault.Append(path, 3)
	if err == nil {
		_, err = w.Write([]byte("after"))
	}
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := all(vault, path); err != nil || string(got) != "befafter" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDamageAndOtherKeysAreRefused(t *testing.T) {
	path := made(t, vault, noise(100))
	if _, err := (Vault{}).Open(path); !errors.Is(err, vstack.ErrKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
	if got, err := all(Vault{Key: sealed.Passing()}, path); err == nil && bytes.Equal(got, noise(100)) {
		t.Error("another key opens it")
	}
	if err := os.Truncate(path, 50); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(path); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("half a block: %v", err)
	}
	if err := os.WriteFile(path+Suffix, []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(path); !errors.Is(err, vstack.ErrCorrupt) || !strings.Contains(err.Error(), Suffix) {
		t.Errorf("a damaged file of the key: %v", err)
	}
}

// TestFFmpegReadsIt from its beginning and at any place: what it copies is what the plain file gives.
func TestFFmpegReadsIt(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: ffmpeg is not installed")
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	clip := filepath.Join(t.TempDir(), "clip.mp4") // its index is at its end
	run("-f", "lavfi", "-i", "testsrc=d=2:s=320x180", "-c:v", "libx264", "-preset", "ultrafast", clip)
	body, err := os.ReadFile(clip)
	if err != nil {
		t.Fatal(err)
	}
	path := made(t, vault, body)
	secret, err := vault.Secret(path)
	if err != nil {
		t.Fatal(err)
	}
	want := run("-i", clip, "-c", "copy", "-f", "md5", "-")
	args := append(secret.Args(), "-protocol_whitelist", "file,crypto,pipe", "-i", "crypto:file:"+path, "-c", "copy", "-f", "md5", "-")
	if got := run(args...); got != want || want == "" {
		t.Errorf("encrypted %q, plain %q", got, want)
	}
}

// TestGolden: what the first version wrote, under the key of this test.
func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "source")
	for name, text := range map[string]string{path: goldenFile, path + Suffix: goldenBeside} {
		b, err := hex.DecodeString(text)
		if err == nil {
			err = os.WriteFile(name, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := all(vault, path); err != nil || string(got) != "what was uploaded" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	beside, _ := hex.DecodeString(goldenBeside)
	file, _ := hex.DecodeString(goldenFile)
	f.Add(beside, file)
	f.Add(beside[:10], file[:5])
	f.Add(beside, []byte{})
	f.Fuzz(func(t *testing.T, beside, file []byte) {
		path := filepath.Join(t.TempDir(), "source")
		if err := errors.Join(os.WriteFile(path+Suffix, beside, 0o600), os.WriteFile(path, file, 0o600)); err != nil {
			t.Fatal(err)
		}
		if b, err := all(vault, path); err == nil && len(b) > len(file) {
			t.Fatalf("%d bytes of %d", len(b), len(file))
		}
	})
}
