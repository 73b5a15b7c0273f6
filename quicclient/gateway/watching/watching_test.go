package watching

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// silent is a catalog without a leader.
type silent struct{ known vstack.Video }

func (silent) Video(context.Context, vstack.VideoID) (vstack.Video, error) {
	return vstack.Video{}, vstack.ErrNoLeader
}

func (s silent) VideoStale(context.Context, vstack.VideoID) (vstack.Video, error) {
	return s.known, nil
}

func (silent) Keys(context.Context) (wire.JWKS, error) { return wire.JWKS{}, vstack.ErrNoLeader }

func TestWithoutALeaderPublicFilmsArePlayed(t *testing.T) {
	d := New(silent{}, time.Now, nil, false)
	if private, err := d.May(t.Context(), vstack.VideoID{1}, "", ""); private || err != nil {
		t.Errorf("a public film: %v, %v", private, err)
	}
	d = New(silent{vstack.Video{Access: vstack.Access{Visibility: vstack.VisibilityPrivate}}}, time.Now, nil, false)
	if _, err := d.May(t.Context(), vstack.VideoID{1}, "", ""); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("a private one: %v", err)
	}
}

// stopped is a catalog that answers nobody, and counts who waited for it.
type stopped struct {
	up    bool
	asked int
}

func (c *stopped) Video(ctx context.Context, _ vstack.VideoID) (vstack.Video, error) {
	if c.up {
		return vstack.Video{}, nil
	}
	c.asked++
	<-ctx.Done()
	return vstack.Video{}, ctx.Err()
}

func (c *stopped) VideoStale(ctx context.Context, id vstack.VideoID) (vstack.Video, error) {
	return c.Video(ctx, id)
}

// TestFewWaitForACatalogThatIsGone has a viewer ask for a segment each second of a minute, and one
// for a film that nobody knows: they wait now and then, and not each time.
func TestFewWaitForACatalogThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &stopped{up: true}
		d := New(c, time.Now, nil, false)
		if _, err := d.May(t.Context(), vstack.VideoID{1}, "", ""); err != nil {
			t.Fatal(err)
		}
		c.up = false
		var waited time.Duration
		for range 60 {
			began := time.Now()
			if private, err := d.May(t.Context(), vstack.VideoID{1}, "", ""); private || err != nil {
				t.Fatalf("a public film that is known: %v, %v", private, err)
			}
			waited += time.Since(began)
			time.Sleep(time.Second) // of the bubble
		}
		if waited > 12*time.Second || c.asked > 6 {
			t.Errorf("waited %v of a minute, in %d questions", waited, c.asked)
		}
		c.asked = 0
		began := time.Now()
		for id := range byte(100) {
			if d.Known(t.Context(), vstack.VideoID{2, id}) {
				t.Fatal("a film is known of which nobody told")
			}
		}
		if took := time.Since(began); took > 3*askTimeout {
			t.Errorf("a list of 100 films that are not known took %v", took)
		}
		c.up = true
		time.Sleep(Stale) // of the bubble
		if _, err := d.May(t.Context(), vstack.VideoID{2}, "", ""); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	})
}
