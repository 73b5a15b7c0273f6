package early

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/order"
)

// reading makes cuts that read what arrives to its end.
func reading(t *testing.T, places int) (*Cuts[string], func(id string, size int64)) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	s := New(ctx, Config[string]{Places: places, Least: 10, Run: func(ctx context.Context, c *Cut[string]) (vstack.Manifest, error) {
		c.Own("job " + c.ID)
		if _, err := io.Copy(io.Discard, c.Opened().Reader(ctx)); err != nil {
			return vstack.Manifest{}, err
		}
		_, plan, err := c.Whole(ctx)
		return vstack.Manifest{Duration: plan.Duration}, err
	}})
	t.Cleanup(func() { cancel(); s.Wait() })
	return s, func(id string, size int64) {
		path := filepath.Join(dir, id)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		s.Grew(id, path, size, order.Order{})
	}
}

func TestACutBeginsOnceEnoughIsThereAndEndsWithTheFile(t *testing.T) {
	s, grew := reading(t, 1)
	if grew("a", 9); len(s.places) != 0 {
		t.Error("a cut of 9 bytes has begun")
	}
	grew("a", 10)
	grew("a", 50)
	s.Ended("a", 50)
	c := s.Take("a")
	if j, ok := c.Owned(t.Context()); j != "job a" || !ok {
		t.Errorf("it left %q, %t", j, ok)
	}
	m, err := c.Finish(t.Context(), "source", ffmpeg.Plan{Duration: 7})
	if err != nil || m.Duration != 7 {
		t.Errorf("%+v, %v", m, err)
	}
	if s.Take("a") != nil {
		t.Error("it was taken twice")
	}
}

func TestWhatIsTakenBackEndsACut(t *testing.T) {
	s, grew := reading(t, 1)
	grew("a", 50)
	grew("a", 40)
	c := s.Take("a")
	if _, err := c.Finish(t.Context(), "", ffmpeg.Plan{}); err == nil {
		t.Error("a file of which bytes were taken back was cut to its end")
	}
}

func TestAPlaceIsKeptForAWhileAndThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, grew := reading(t, 1)
		grew("a", 50)
		time.Sleep(fairFor - time.Second) // of the bubble
		grew("b", 50)
		synctest.Wait()
		first := s.cuts["a"]
		if s.cuts["b"] != nil || first.err != nil {
			t.Fatal("a cut gave its place up in its first minute")
		}
		time.Sleep(2 * time.Second) // of the bubble
		grew("b", 60)
		synctest.Wait()
		if !errors.Is(first.err, ErrYielded) {
			t.Fatalf("ended with %v", first.err)
		}
		grew("b", 70)
		if s.cuts["b"] == nil {
			t.Error("the place was not taken")
		}
		if j, ok := first.Job(); j != "job a" || !ok {
			t.Errorf("it left %q, %t", j, ok)
		}
	})
}
