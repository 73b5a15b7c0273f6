package resumable

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/tus/tusd/v2/pkg/memorylocker"

	"github.com/vstack/vstack/internal/vstack"
)

// TestARequestIsAskedToEndOnceItCanHearIt has a second request want a part's lock before the
// first has begun to read its body.
func TestARequestIsAskedToEndOnceItCanHearIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := locker{memorylocker.New()}
		take := func(o *opened, ask func()) func() {
			l, err := locks.NewLock("part")
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Lock(context.WithValue(t.Context(), openedKey{}, o), ask); err != nil {
				t.Error(err)
			}
			return func() { _ = l.Unlock() }
		}
		for _, c := range []struct {
			what  string
			hears func(o *opened)
		}{{"reads", func(o *opened) { o.begin() }}, {"ends", (*opened).close}} {
			asked := make(chan struct{})
			first := newOpened(vstack.TicketID{})
			release := take(first, func() { close(asked) })
			second := make(chan func())
			go func() { second <- take(newOpened(vstack.TicketID{}), func() {}) }()
			synctest.Wait()
			select {
			case <-asked:
				t.Errorf("asked before it %s", c.what)
			default:
			}
			c.hears(first)
			<-asked
			release()
			(<-second)()
		}
	})
}
