package window

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/vstack/vstack/internal/vstack"
)

// taking starts a goroutine that takes n bytes and says so.
func taking(t *testing.T, w *Window, job vstack.UploadID, n int64) chan struct{} {
	got := make(chan struct{})
	go func() {
		if _, err := w.Acquire(t.Context(), job, n); err == nil {
			close(got)
		}
	}()
	synctest.Wait()
	return got
}

func has(got chan struct{}) bool {
	select {
	case <-got:
		return true
	default:
		return false
	}
}

func TestAJobAloneLeavesAnEighthForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(80)
		a, b := vstack.UploadID{1}, vstack.UploadID{2}
		for range 7 {
			if !has(taking(t, w, a, 10)) {
				t.Fatal("a job alone waits although there is room")
			}
		}
		more := taking(t, w, a, 10)
		if has(more) {
			t.Error("a job alone holds the whole window")
		}
		if !has(taking(t, w, b, 10)) {
			t.Error("the next job waits for one that is stuck")
		}
		w.Release(a, 10)
		synctest.Wait()
		if !has(more) {
			t.Error("the first job waits although it holds less again")
		}
	})
}

func TestWhoHoldsLeastIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(80)
		a, b := vstack.UploadID{1}, vstack.UploadID{2}
		for range 7 {
			taking(t, w, a, 10)
		}
		taking(t, w, b, 10)
		a1 := taking(t, w, a, 10)
		b1, b2, b3 := taking(t, w, b, 10), taking(t, w, b, 10), taking(t, w, b, 10)
		for i, got := range []chan struct{}{b1, b2, b3} {
			w.Release(a, 10)
			synctest.Wait()
			if !has(got) || has(a1) {
				t.Errorf("after %d releases: b %v, a %v", i+1, has(got), has(a1))
			}
		}
		w.Release(b, 10)
		synctest.Wait()
		if !has(a1) {
			t.Error("a waits although nobody else does")
		}
	})
}

func TestALargeChunkIsNotOvertakenAndNoneIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(20)
		a, b := vstack.UploadID{1}, vstack.UploadID{2}
		if n, err := w.Acquire(t.Context(), a, 100); err != nil || n != 20 {
			t.Fatalf("took %d, %v", n, err)
		}
		large := taking(t, w, b, 20)
		small := taking(t, w, vstack.UploadID{3}, 1)
		w.Release(a, 20)
		synctest.Wait()
		if !has(large) || has(small) {
			t.Errorf("large %v, small %v", has(large), has(small))
		}
		w.Release(b, 20)
		synctest.Wait()
		if !has(small) {
			t.Error("the small one waits")
		}
	})
}

func TestWhoGivesUpHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(20)
		a, b := vstack.UploadID{1}, vstack.UploadID{2}
		taking(t, w, a, 10)
		ctx, cancel := context.WithCancelCause(t.Context())
		out := make(chan error, 1)
		go func() { _, err := w.Acquire(ctx, b, 20); out <- err }()
		synctest.Wait()
		behind := taking(t, w, vstack.UploadID{3}, 5)
		if has(behind) {
			t.Error("overtook the large one")
		}
		cancel(vstack.ErrCanceled)
		if err := <-out; !errors.Is(err, vstack.ErrCanceled) {
			t.Errorf("gave up with %v", err)
		}
		synctest.Wait()
		if !has(behind) {
			t.Error("waits for one that has gone")
		}
		if w.free != 5 || len(w.waiting) != 0 {
			t.Errorf("%d free, %d wait", w.free, len(w.waiting))
		}
	})
}
