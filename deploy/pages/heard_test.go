package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// talking are three stores of which the third refuses; the others tell rate messages a second.
type talking struct {
	voters
	rate    atomic.Int64
	asking  atomic.Int64
	started atomic.Int64
}

func (f *talking) Messages(ctx context.Context, addr string, after uint64, fresh bool, oneIn uint32) (wire.HeardPage, error) {
	f.asking.Add(1)
	defer f.asking.Add(-1)
	if addr == "c" {
		return wire.HeardPage{}, fmt.Errorf("ask c: %w", vstack.ErrForbidden)
	}
	if fresh {
		f.started.Add(1)
	}
	wait := 2 * time.Second
	if f.rate.Load() > 0 {
		wait = 200 * time.Millisecond
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return wire.HeardPage{}, ctx.Err()
	}
	page := wire.HeardPage{Next: after + 1, Items: []wire.Heard{}}
	for range f.rate.Load() / 5 / int64(oneIn) {
		page.Items = append(page.Items, wire.Heard{Number: page.Next, Kind: "put"})
	}
	return page, nil
}

func heardBy(t *testing.T, page chan []byte) (n HeardNews) {
	t.Helper()
	select {
	case b := <-page:
		if err := json.Unmarshal(b, &n); err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("no news for a minute")
	}
	return n
}

func TestStoresAreAskedWhileAPageListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &talking{}
		l := newListener(f)
		one, two := l.join(), l.join()
		var n HeardNews
		for n.Stores != 2 {
			n = heardBy(t, one)
		}
		if n.Of != 3 || n.Refused == "" || len(n.Items) != 0 {
			t.Errorf("%+v", n)
		}
		f.rate.Store(50)
		for len(n.Items) == 0 {
			n = heardBy(t, two)
		}
		if n.Items[0].Addr == "" || n.Items[0].Kind != "put" {
			t.Errorf("%+v", n.Items[0])
		}
		if f.started.Load() != 2 {
			t.Errorf("%d streams of two stores for two pages", f.started.Load())
		}
		l.leave(one)
		synctest.Wait()
		if f.asking.Load() == 0 {
			t.Error("nobody is asked while a page listens")
		}
		l.leave(two)
		synctest.Wait()
		if f.asking.Load() != 0 {
			t.Errorf("%d stores are asked for nobody", f.asking.Load())
		}
		l.join() // again from the start
		synctest.Wait()
		if f.asking.Load() == 0 {
			t.Error("nobody is asked after all had gone and one came")
		}
		l.close()
		if f.asking.Load() != 0 {
			t.Error("stores are asked after the end")
		}
	})
}

// A cluster that says more than a person reads is heard of fewer slots, and of all again later.
func TestASampleGetsThinnerWhileMuchIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &talking{}
		f.rate.Store(2000)
		l := newListener(f)
		defer l.close()
		page := l.join()
		var n HeardNews
		until := time.Now().Add(20 * time.Second)
		for time.Now().Before(until) {
			n = heardBy(t, page)
			if len(n.Items) > heardMost {
				t.Fatalf("%d at once", len(n.Items))
			}
		}
		if n.OneIn < 16 || n.OneIn > 128 {
			t.Errorf("one in %d of 4000 messages a second", n.OneIn)
		}
		f.rate.Store(0)
		until = time.Now().Add(20 * time.Second)
		for time.Now().Before(until) {
			n = heardBy(t, page)
		}
		if n.OneIn != 1 {
			t.Errorf("one in %d where nothing is said", n.OneIn)
		}
	})
}
