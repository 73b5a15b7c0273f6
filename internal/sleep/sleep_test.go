package sleep

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestForEndsWithItsTimeOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if whole := For(ctx, 2*time.Second); !whole || time.Since(began) != 2*time.Second {
			t.Errorf("2 s: %t after %s", whole, time.Since(began))
		}
		if whole := For(ctx, time.Minute); whole || time.Since(began) != 3*time.Second {
			t.Errorf("a minute, with one second left: %t after %s", whole, time.Since(began))
		}
	})
}
