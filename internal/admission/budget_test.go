package admission

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

func TestAKeyAloneHasAllButOneShare(t *testing.T) {
	b := NewBudget("things", 80)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 70 {
		if err := b.Acquire(now, "a", 1); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := b.Acquire(now, "a", 1); !errors.Is(err, vstack.ErrUnavailable) {
		t.Fatalf("the last share went to one key: %v", err)
	}
	if err := b.Acquire(now, "b", 10); err != nil {
		t.Fatalf("the next key has nothing: %v", err)
	}
	if err := b.Acquire(now, "c", 81); !errors.Is(err, vstack.ErrTooLarge) {
		t.Error(err)
	}
	b.Release("a", 70)
	b.Release("b", 10)
	if b.Used() != 0 || len(b.keys) != 0 || len(b.turn) != 0 {
		t.Errorf("%d used, keys %v", b.Used(), b.keys)
	}
}

// TestOneThatFloodsDoesNotDelayOthers has one key with a thousand requests, each held for a
// second, before nine others come one after the other.
func TestOneThatFloodsDoesNotDelayOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget("things", 80)
		var wg sync.WaitGroup
		use := func(key Key) error {
			if err := b.Acquire(t.Context(), key, 1); err != nil {
				return err
			}
			time.Sleep(time.Second)
			b.Release(key, 1)
			return nil
		}
		for range 1000 {
			wg.Go(func() { _ = use("flood") })
		}
		synctest.Wait()
		for i := range 9 {
			began := time.Now()
			if err := use(Key(fmt.Sprint(i))); err != nil || time.Since(began) > time.Second {
				t.Errorf("key %d: %v after %v", i, err, time.Since(began))
			}
		}
		wg.Wait()
	})
}

// 64 keys within their shares had everything, and whoever came then was refused.
func TestManyKeysLeaveHalfAShareToNewcomers(t *testing.T) {
	b := NewBudget("things", 80)
	for n := range 1000 {
		_ = b.TryAcquire(Key(fmt.Sprint("crowd ", n%20)), 1) // each within its share of 10
	}
	if used := b.Used(); used != 75 {
		t.Errorf("%d are used of 80", used)
	}
	for n := range 5 {
		if err := b.TryAcquire(Key(fmt.Sprint("new ", n)), 1); err != nil {
			t.Errorf("newcomer %d: %v", n, err)
		}
	}
}

// TestKeysThatWaitAreServedInTurn holds everything, and lets two keys wait, one with ten times
// as many requests.
func TestKeysThatWaitAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget("things", 16)
		for i := range 16 {
			if err := b.Acquire(t.Context(), Key(fmt.Sprint("holder ", i)), 1); err != nil {
				t.Fatal(err)
			}
		}
		var got [2]atomic.Int32
		var wg sync.WaitGroup
		for i, key := range []Key{"many", "few"} {
			for range []int{100, 10}[i] {
				wg.Go(func() {
					if err := b.Acquire(t.Context(), key, 1); err == nil {
						got[i].Add(1)
					}
				})
			}
			synctest.Wait()
		}
		for i := range 6 { // of them two are kept for who has nothing
			b.Release(Key(fmt.Sprint("holder ", i)), 1)
		}
		synctest.Wait()
		if many, few := got[0].Load(), got[1].Load(); many != 2 || few != 2 {
			t.Errorf("%d and %d of 6, want 2 each", many, few)
		}
		for i := 6; i < 16; i++ {
			b.Release(Key(fmt.Sprint("holder ", i)), 1)
		}
		synctest.Wait()
		for got[0].Load()+got[1].Load() < 110 { // what is given back is taken by who waits
			for i, key := range []Key{"many", "few"} {
				for b.used(key) > 0 {
					b.Release(key, 1)
					synctest.Wait()
				}
				_ = i
			}
		}
		wg.Wait()
	})
}

func (b *Budget) used(key Key) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.keys[key]; c != nil {
		return c.used
	}
	return 0
}

func TestALargeRequestIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget("bytes", 64)
		for i := range 8 {
			if err := b.Acquire(t.Context(), Key(fmt.Sprint("small ", i)), 8); err != nil {
				t.Fatal(err)
			}
		}
		served := make(chan struct{})
		go func() {
			if err := b.Acquire(t.Context(), "large", 32); err == nil {
				close(served)
			}
		}()
		synctest.Wait()
		for i := range 4 {
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := b.Acquire(soon, Key(fmt.Sprint("late ", i)), 1); !errors.Is(err, vstack.ErrUnavailable) {
				t.Errorf("one that came later was served before: %v", err)
			}
			cancel()
			b.Release(Key(fmt.Sprint("small ", i)), 8)
		}
		synctest.Wait()
		select {
		case <-served:
		default:
			t.Error("half of the budget is free, and the large request still waits")
		}
	})
}

// TestRandomUseNeverLendsMoreThanThereIs has many goroutines come, give up and go.
func TestRandomUseNeverLendsMoreThanThereIs(t *testing.T) {
	b := NewBudget("bytes", 100)
	var out atomic.Int64
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(g), 1))
			for range 2000 {
				key, n := Key(fmt.Sprint(dice.IntN(5))), 1+dice.Int64N(30)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(dice.IntN(200))*time.Microsecond)
				if err := b.Acquire(ctx, key, n); err == nil {
					if lent := out.Add(n); lent > 100 {
						t.Errorf("%d of 100 are lent", lent)
					}
					out.Add(-n)
					b.Release(key, n)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if b.Used() != 0 || len(b.keys) != 0 || len(b.turn) != 0 {
		t.Errorf("left: %d, %v, %v", b.Used(), b.keys, b.turn)
	}
}

// TestManyWhoWaitKeepNobodyFromWaiting has a few keys fill every place to wait: one of them has no
// more than its part, and a key that waits for the first time gets its turn.
func TestManyWhoWaitKeepNobodyFromWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 16
		b := NewBudget("things", 8)
		for i := range 8 { // all is lent
			if err := b.Acquire(t.Context(), Key(fmt.Sprint("holder", i)), 1); err != nil {
				t.Fatal(err)
			}
		}
		var refused atomic.Int64
		var greedy sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for i := range 12 {
			for range 8 {
				greedy.Go(func() {
					if b.AcquireAmong(ctx, Key(fmt.Sprint("greedy", i)), 1, places) != nil {
						refused.Add(1)
					}
				})
			}
		}
		synctest.Wait()
		// Each may wait twice, an eighth of 16, until the places are taken; then once.
		if n := refused.Load(); n < 8*12-places-12 || n > 8*12-12 {
			t.Errorf("%d of 96 were sent away at once", n)
		}
		got := make(chan error, 1)
		go func() { got <- b.AcquireAmong(t.Context(), "honest", 1, places) }()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("who had not waited yet was not let wait: %v", err)
		default:
		}
		for i := range 8 {
			b.Release(Key(fmt.Sprint("holder", i)), 1)
		}
		// The greedy go in their turn and give back at once what they get.
		for range 30 {
			synctest.Wait()
			for i := range 12 {
				b.mu.Lock()
				c := b.keys[Key(fmt.Sprint("greedy", i))]
				has := c != nil && c.used > 0
				b.mu.Unlock()
				if has {
					b.Release(Key(fmt.Sprint("greedy", i)), 1)
				}
			}
		}
		select {
		case err := <-got:
			if err != nil {
				t.Errorf("the honest one: %v", err)
			}
		default:
			t.Error("the honest one still waits")
		}
		stop()
		greedy.Wait()
	})
}
