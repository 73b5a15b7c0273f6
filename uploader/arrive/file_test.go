package arrive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

// growing is a file and what appends to it.
func growing(t *testing.T) (*File, func(b []byte)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(source.Vault{}, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); w.Close() })
	size := int64(0)
	return f, func(b []byte) {
		n, err := w.Write(b)
		if err != nil {
			t.Fatal(err)
		}
		size += int64(n)
		f.Grow(size)
	}
}

func TestAReaderWaitsForWhatHasNotArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, add := growing(t)
		add([]byte("one "))
		var got bytes.Buffer
		done := make(chan error, 1)
		go func() {
			_, err := io.Copy(&got, f.Reader(t.Context()))
			done <- err
		}()
		synctest.Wait()
		if got.String() != "one " || !f.Waiting() {
			t.Fatalf("read %q, waiting: %t", got.String(), f.Waiting())
		}
		add([]byte("two "))
		add([]byte("three"))
		synctest.Wait()
		f.End()
		if err := <-done; err != nil || got.String() != "one two three" || f.Waiting() {
			t.Errorf("read %q, %v", got.String(), err)
		}
		if b, err := io.ReadAll(f.Reader(t.Context())); err != nil || string(b) != "one two three" {
			t.Errorf("a later reader got %q, %v", b, err)
		}
	})
}

func TestReadersEndWithAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(f *File, cancel context.CancelCauseFunc)
		want error
	}{
		"of what was taken back": {func(f *File, _ context.CancelCauseFunc) { f.Grow(2) }, ErrShrunk},
		"when it is closed":      {func(f *File, _ context.CancelCauseFunc) { f.Close() }, vstack.ErrClosed},
		"by their context":       {func(_ *File, cancel context.CancelCauseFunc) { cancel(io.ErrNoProgress) }, io.ErrNoProgress},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, add := growing(t)
				add([]byte("bytes"))
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				done := make(chan error, 1)
				go func() {
					_, err := io.Copy(io.Discard, f.Reader(ctx))
					done <- err
				}()
				synctest.Wait()
				tc.end(f, cancel)
				if err := <-done; !errors.Is(err, tc.want) {
					t.Errorf("ended with %v, want %v", err, tc.want)
				}
			})
		})
	}
}

func TestAFileThatIsShorterThanWasSaidHasNoEnd(t *testing.T) {
	f, add := growing(t)
	add([]byte("five."))
	if err := os.Truncate(f.f.Name(), 3); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f.Reader(t.Context())); !errors.Is(err, ErrShrunk) || string(b) != "fiv" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestAChildReadsWhatArrives(t *testing.T) {
	f, add := growing(t)
	p, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := exec.Command("cat")
	var out bytes.Buffer
	c.Stdin, c.Stdout = p.End(), &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	passed := make(chan error, 1)
	go func() { passed <- p.Pass(t.Context(), f) }()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for at := 0; at < len(want); at += 100_000 {
		add(want[at:min(at+100_000, len(want))])
	}
	f.End()
	if err := errors.Join(<-passed, c.Wait()); err != nil || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%d bytes of %d, %v", out.Len(), len(want), err)
	}
}

func TestAChildThatReadsNoFurtherIsNoError(t *testing.T) {
	f, add := growing(t)
	add(make([]byte, 4<<20))
	p, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := exec.Command("head", "-c", "10")
	c.Stdin = p.End()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Pass(t.Context(), f), c.Wait()); err != nil {
		t.Error(err)
	}
}
