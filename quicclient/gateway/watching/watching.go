package watching

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// Fresh is how long an answer of the catalog counts without asking again.
	Fresh = 2 * time.Second
	// Stale is how old one may be, while the catalog does not answer, for a private film.
	Stale = 10 * time.Second
	// askTimeout bounds one question.
	askTimeout = 2 * time.Second
	// quiet is how long nobody is asked who did not answer: more than two questions take, and so
	// little that a private film does not grow stale by it.
	quiet = 5 * time.Second
	// most bounds the films that are remembered.
	most = 8192
)

// Catalog is what is asked.
type Catalog interface {
	Video(ctx context.Context, id vstack.VideoID) (vstack.Video, error)
}

// Keyring is a Catalog that has keys; without, no token is good.
type Keyring interface {
	Keys(ctx context.Context) (wire.JWKS, error)
}

// Stood is a Catalog of which any member answers, which may have missed the last changes.
type Stood interface {
	VideoStale(ctx context.Context, id vstack.VideoID) (vstack.Video, error)
}

// Doorman judges viewers. It is safe for concurrent use.
type Doorman struct {
	catalog Catalog
	now     func() time.Time
	judge   watch.Judge
	asking  singleflight.Group
	films   *otter.Cache[vstack.VideoID, film]
	leader  silence // of the catalog's leader
	members silence // of all of its members

	ring silence // of who is asked for keys

	signer Signer // nil: nobody signs
	all    bool   // listings are read by those inside alone

	mu     sync.Mutex // guards what is below; not held while asking
	keys   vstack.TokenKeys
	keysAt time.Time
}

// film is what the catalog last said of one.
type film struct {
	access vstack.Access
	absent bool
	at     time.Time // of the question
}

// silence remembers that nobody answered, so that not every viewer waits to see it again.
type silence struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// note takes how a question that was answered, or was not, ended.
func (s *silence) note(now time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.err = now, err
}

// within is why nobody answered, if that is no longer ago.
func (s *silence) within(now time.Time, long time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.at) < long {
		return s.err
	}
	return nil
}

// New makes a Doorman; now is its clock. It signs with signer, which may be nil, and with all its
// lists leave nothing out: whoever reaches them is inside.
func New(c Catalog, now func() time.Time, signer Signer, all bool) *Doorman {
	return &Doorman{catalog: c, now: now, signer: signer, all: all, films: otter.Must(&otter.Options[vstack.VideoID, film]{MaximumSize: most})}
}

// May tells whether a film is private, and with an error that the viewer may not watch it:
// ErrNotFound as for one that there is not, ErrViewStale, or why the catalog does not answer.
// from is the viewer's address, or a prefix.
func (d *Doorman) May(ctx context.Context, id vstack.VideoID, token, from string) (private bool, err error) {
	f, err := d.film(ctx, id)
	if err != nil {
		return false, err
	}
	if !f.absent && (!f.access.Private() || inside(ctx)) {
		return f.access.Private(), nil
	}
	keys, keysAt := d.keyring(ctx)
	t, terr := d.judge.Read(watch.Request{Token: token, Keys: keys, Now: d.now(), From: from})
	if f.absent || terr != nil || t.For(id, f.access) != nil {
		return !f.absent, fmt.Errorf("video %s: %w", id, vstack.ErrNotFound)
	}
	if d.now().Sub(f.at) > Stale || d.now().Sub(keysAt) > Stale {
		return true, fmt.Errorf("video %s: %w", id, vstack.ErrViewStale)
	}
	return true, nil
}

// Private reports whether a film that was asked for lately is private, without asking. Of one
// that nobody asked for it says so, too: who may read everything reads it in either case.
func (d *Doorman) Private(id vstack.VideoID) bool {
	f, ok := d.films.GetIfPresent(id)
	return !ok || f.access.Private()
}

// Keys is what the catalog says of the keys.
func (d *Doorman) Keys(ctx context.Context) (wire.JWKS, error) {
	if ring, ok := d.catalog.(Keyring); ok {
		return ring.Keys(ctx)
	}
	return wire.JWKS{}, fmt.Errorf("keys of playback tokens: %w", vstack.ErrNotFound)
}

// Known reports whether everybody may know of a film: it is listed, or none. While the catalog
// does not answer nothing is known that was not.
func (d *Doorman) Known(ctx context.Context, id vstack.VideoID) bool {
	if d.all {
		return true
	}
	f, err := d.film(ctx, id)
	return err == nil && (f.absent || f.access.Listed())
}

// Waiting leaves out films that are not listed.
func (d *Doorman) Waiting(ctx context.Context, items []wire.WaitingVideo) []wire.WaitingVideo {
	return slices.DeleteFunc(slices.Clone(items), func(w wire.WaitingVideo) bool { return !d.Known(ctx, w.Video) })
}

// film is what the catalog says, or said if it does not answer.
func (d *Doorman) film(ctx context.Context, id vstack.VideoID) (film, error) {
	f, known := d.films.GetIfPresent(id)
	now := d.now()
	if known && now.Sub(f.at) < Fresh {
		return f, nil
	}
	// While there is no leader few wait for one: what is known of a public film does for longer.
	long := quiet
	if known && !f.absent && !f.access.Private() {
		long = Stale
	}
	err := d.leader.within(now, long)
	if err == nil {
		var next film
		if next, err = d.ask(ctx, id); err == nil {
			return next, nil
		}
	}
	if known && !f.absent {
		return f, nil // reads of public films outlive the catalog's silence
	}
	if f, serr := d.hearsay(ctx, id); serr == nil {
		return f, nil
	}
	return film{}, fmt.Errorf("video %s: %w", id, err)
}

// ask asks the leader, once for all who want to know.
func (d *Doorman) ask(ctx context.Context, id vstack.VideoID) (film, error) {
	got, err, _ := d.asking.Do(id.String(), func() (any, error) {
		next := film{at: d.now()}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout) // others wait, too
		defer cancel()
		v, err := d.catalog.Video(ctx, id)
		if errors.Is(err, vstack.ErrNotFound) {
			next.absent, err = true, nil
		}
		d.leader.note(d.now(), err)
		if err != nil {
			return film{}, err
		}
		if !next.absent {
			next.access = v.Access
		}
		d.films.Set(id, next)
		return next, nil
	})
	if err != nil {
		return film{}, err
	}
	return got.(film), nil
}

// hearsay is what any member says: without a leader its word that a film is public has to do, as
// a store's does that is cut off. It is not kept, and to a private film it is of long ago.
func (d *Doorman) hearsay(ctx context.Context, id vstack.VideoID) (film, error) {
	any, ok := d.catalog.(Stood)
	if !ok {
		return film{}, vstack.ErrUnavailable
	}
	if err := d.members.within(d.now(), quiet); err != nil {
		return film{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	v, err := any.VideoStale(ctx, id)
	if !errors.Is(err, vstack.ErrNotFound) {
		d.members.note(d.now(), err)
	}
	return film{access: v.Access}, err
}

// keyring is the keys and when they were asked for.
func (d *Doorman) keyring(ctx context.Context) (vstack.TokenKeys, time.Time) {
	d.mu.Lock()
	keys, at := d.keys, d.keysAt
	d.mu.Unlock()
	ring, ok := d.catalog.(Keyring)
	if now := d.now(); !ok || now.Sub(at) < Fresh || d.ring.within(now, quiet) != nil {
		return keys, at
	}
	_, _, _ = d.asking.Do("keys", func() (any, error) { // what is known stays, and ages, on an error
		asked := d.now()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		set, err := ring.Keys(ctx)
		d.ring.note(d.now(), err)
		if err == nil {
			d.mu.Lock()
			d.keys, d.keysAt = set.TokenKeys(), asked
			d.mu.Unlock()
		}
		return nil, err
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys, d.keysAt
}
