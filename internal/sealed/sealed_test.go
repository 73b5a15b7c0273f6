package sealed

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

var testKey = NewKey([KeyLen]byte{1, 2, 3})

func box(t testing.TB) *Box {
	t.Helper()
	b, err := NewBox(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stream seals data, written in pieces of so many bytes.
func stream(t testing.TB, key *Key, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, key)
	if err != nil {
		t.Fatal(err)
	}
	for rest := data; len(rest) > 0; {
		n := min(piece, len(rest))
		if k, err := w.Write(rest[:n]); k != n || err != nil {
			t.Fatal(k, err)
		}
		rest = rest[n:]
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, vstack.ErrClosed) {
		t.Fatalf("a write behind the end: %v", err)
	}
	return out.Bytes()
}

func read(key *Key, r io.Reader) ([]byte, error) {
	s, err := NewReader(r, key)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(s)
}

func TestNotesOpen(t *testing.T) {
	b, later := box(t), box(t)
	for _, n := range []int{0, 1, 100, 1 << 20} {
		plain := bytes.Repeat([]byte("p"), n)
		note := b.Seal(plain, []byte("entry 7"))
		if len(note) != n+Overhead {
			t.Errorf("%d bytes for %d", len(note), n)
		}
		for _, by := range []*Box{b, later} { // of another process, too
			if got, err := by.Open(note, []byte("entry 7")); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		if _, err := later.Open(note, []byte("entry 8")); !errors.Is(err, vstack.ErrCorrupt) {
			t.Errorf("in another's place: %v", err)
		}
	}
	if other, err := NewBox(Passing()); err != nil {
		t.Fatal(err)
	} else if _, err := other.Open(b.Seal([]byte("x"), nil), nil); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("by another key: %v", err)
	}
}

func TestNoBitOfANoteMayChange(t *testing.T) {
	b := box(t)
	note := b.Seal([]byte("a title"), nil)
	for i := range note {
		bad := bytes.Clone(note)
		bad[i] ^= 0x10
		if _, err := b.Open(bad, nil); !errors.Is(err, vstack.ErrCorrupt) {
			t.Fatalf("byte %d: %v", i, err)
		}
		if _, err := b.Open(note[:i], nil); !errors.Is(err, vstack.ErrCorrupt) {
			t.Fatalf("cut off at %d: %v", i, err)
		}
	}
}

func TestStreamsOpen(t *testing.T) {
	for _, n := range []int{0, 1, block - 1, block, block + 1, 2*block - 1, 2 * block, 3*block + 7} {
		data := make([]byte, n)
		rand.Read(data)
		for _, piece := range []int{n + 1, 1000} {
			s := stream(t, testKey, data, piece)
			if got := PlainSize(int64(len(s))); got != int64(n) {
				t.Errorf("%d bytes are said to be %d", n, got)
			}
			for name, r := range map[string]io.Reader{"at once": bytes.NewReader(s), "by halves": iotest.HalfReader(bytes.NewReader(s)), "with its end": iotest.DataErrReader(bytes.NewReader(s))} {
				if got, err := read(testKey, r); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes in pieces of %d, %s: %d bytes, %v", n, piece, name, len(got), err)
				}
			}
		}
	}
}

// TestAStreamIsWholeOrRefused: flipped, cut off at any block's end, with blocks exchanged or left out.
func TestAStreamIsWholeOrRefused(t *testing.T) {
	data := make([]byte, 3*block)
	rand.Read(data)
	s := stream(t, testKey, data, block)
	const sealedBlock = block + tagLen
	cut := func(n int) []byte { return s[:n] }
	swapped := bytes.Clone(s)
	copy(swapped[headLen:], s[headLen+sealedBlock:headLen+2*sealedBlock])
	copy(swapped[headLen+sealedBlock:], s[headLen:headLen+sealedBlock])
	bad := map[string][]byte{
		"nothing": nil, "half a head": cut(20), "a head alone": cut(headLen), "one block": cut(headLen + sealedBlock), "two blocks": cut(headLen + 2*sealedBlock),
		"half a block": cut(headLen + 100), "half a tag": cut(headLen + 5), "a byte short": cut(len(s) - 1), "a byte more": append(bytes.Clone(s), 0), "blocks exchanged": swapped,
		"a block left out": append(bytes.Clone(cut(headLen+sealedBlock)), s[headLen+2*sealedBlock:]...),
	}
	for at := 0; at < len(s); at += len(s)/50 + 1 {
		b := bytes.Clone(s)
		b[at] ^= 4
		bad[fmt.Sprintf("a bit at %d", at)] = b
	}
	for name, b := range bad {
		if _, err := read(testKey, bytes.NewReader(b)); !errors.Is(err, vstack.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := read(Passing(), bytes.NewReader(s)); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("by another key: %v", err)
	}
	broken := errors.New("the disk errs")
	if _, err := read(testKey, io.MultiReader(bytes.NewReader(cut(headLen+100)), iotest.ErrReader(broken))); !errors.Is(err, broken) || errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("an error of the disk: %v", err)
	}
}

// TestNoNonceIsRepeated: the same bytes, sealed often, by boxes and streams of one key.
func TestNoNonceIsRepeated(t *testing.T) {
	seen := map[string]bool{}
	plain := make([]byte, 3*block)
	n := 0
	once := func(what string, random, number []byte) {
		t.Helper()
		if n++; seen[string(random)+string(number)] {
			t.Fatalf("%s: key and nonce are used again", what)
		}
		seen[string(random)+string(number)] = true
	}
	for range 20 {
		b := box(t)
		for range 50 {
			note := b.Seal(plain[:10], nil)
			once("note", note[saltAt:headLen], note[headLen:headLen+numberLen])
		}
		s := stream(t, testKey, plain, 1<<20)
		for i := range 3 {
			at := position(uint64(i), i == 2)
			once("stream", s[saltAt:headLen], at[:])
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d", len(seen), n)
	}
	random := map[string]bool{}
	for range 100 {
		s := stream(t, testKey, plain[:1], 1)
		random[string(s[headLen:])] = true
	}
	if len(random) != 100 {
		t.Errorf("%d ciphertexts of 100", len(random))
	}
}

// TestGolden: what was written by this version is read by all that follow.
func TestGolden(t *testing.T) {
	for name, text := range map[string]string{"note": goldenNote, "stream": goldenStream} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		if name == "note" {
			got, err = box(t).Open(b, []byte("about"))
		} else {
			got, err = read(testKey, bytes.NewReader(b))
		}
		if err != nil || string(got) != "what was written" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestFilesOfNotes(t *testing.T) {
	fsys := vfs.NewCrash()
	about := []byte("job.json of 7")
	for _, b := range []*Box{nil, box(t)} {
		if err := b.WriteFile(fsys, "/f", []byte("a title"), about, 0o600); err != nil {
			t.Fatal(err)
		}
		raw, err := vfs.ReadFile(fsys, "/f", 1000)
		if err != nil || bytes.Contains(raw, []byte("title")) != (b == nil) {
			t.Errorf("on the disk: %q, %v", raw, err)
		}
		if got, err := b.ReadFile(fsys, "/f", about, 7); err != nil || string(got) != "a title" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := b.ReadFile(fsys, "/f", about, 6); err == nil {
			t.Error("more than the limit was read")
		}
	}
	if _, err := box(t).ReadFile(fsys, "/f", []byte("another"), 100); !errors.Is(err, vstack.ErrCorrupt) || !strings.Contains(err.Error(), "/f") {
		t.Errorf("another file's: %v", err)
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	for _, f := range []string{"%v", "%+v", "%s", "%#v"} {
		if got := fmt.Sprintf(f, testKey); strings.Contains(got, "1") {
			t.Errorf("%s prints %s", f, got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	b := box(f)
	note, s := b.Seal([]byte("plain"), nil), stream(f, testKey, make([]byte, block+5), 1000)
	f.Add(note)
	f.Add(s)
	f.Add(s[:headLen+tagLen])
	f.Fuzz(func(t *testing.T, p []byte) {
		// What was given may have been sealed by the box of another process of the fuzzer.
		if plain, err := b.Open(p, nil); err == nil && string(plain) != "plain" {
			t.Fatal("another note opens")
		} else if err != nil && !errors.Is(err, vstack.ErrCorrupt) {
			t.Fatal(err)
		}
		if plain, err := read(testKey, bytes.NewReader(p)); err == nil && int64(len(plain)) != PlainSize(int64(len(p))) {
			t.Fatalf("%d bytes, %d are said", len(plain), PlainSize(int64(len(p))))
		} else if err != nil && !errors.Is(err, vstack.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

func BenchmarkNote(b *testing.B) {
	x, plain := box(b), make([]byte, 1024)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		if _, err := x.Open(x.Seal(plain, nil), nil); err != nil {
			b.Fatal(err)
		}
	}
}
