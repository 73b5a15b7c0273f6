package resumable

import (
	"context"

	"github.com/tus/tusd/v2/pkg/handler"
)

// locker hands out the locks of parts. When a second request wants one, tusd asks the first
// to end, by closing the body that it reads. Asked before it reads, the first would not hear
// it and keep the lock until its client speaks again, so here the asking waits for that.
type locker struct{ handler.Locker }

func (l locker) NewLock(id string) (handler.Lock, error) {
	inner, err := l.Locker.NewLock(id)
	return lock{inner}, err
}

type lock struct{ of handler.Lock }

// Lock waits for the lock; ask is called when somebody else wants it afterwards.
func (l lock) Lock(ctx context.Context, ask func()) error {
	if o, ok := ctx.Value(openedKey{}).(*opened); ok {
		return l.of.Lock(ctx, func() {
			go func() {
				<-o.reading
				ask()
			}()
		})
	}
	return l.of.Lock(ctx, ask)
}

func (l lock) Unlock() error { return l.of.Unlock() }
