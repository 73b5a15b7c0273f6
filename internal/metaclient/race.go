package metaclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// race is the attempts of one call. An attempt that fails is followed by one at the
// next endpoint; so is one that is late, and then both run: a member whose process
// stands still neither answers nor refuses. A write may run twice that way, which its
// request id makes harmless.
type race struct {
	c         *Client
	ctx       context.Context
	cancel    context.CancelFunc
	k         call
	payload   []byte
	requestID string
	hedge     time.Duration // 0: never

	began     time.Time
	endpoints []string // it only grows, so that the numbers below stay good; stuck leaves one
	next      int      // the next endpoint, modulo their number
	launched  int      // attempts
	racing    []int    // endpoints of the attempts under way
	heard     bool     // somebody answered in this round, if only to refuse
	outcomes  chan outcome
	wg        sync.WaitGroup
	backoff   time.Duration
	last      error // why the call is not answered yet
	stuck     bool  // to the one endpoint that may have taken the request
}

// outcome is how one attempt ended.
type outcome struct {
	which int
	ans   answer
	err   error
}

func (c *Client) newRace(ctx context.Context, k call, payload []byte, requestID string) *race {
	r := &race{c: c, k: k, payload: payload, requestID: requestID, began: time.Now(), endpoints: slices.Clone(c.members.endpoints()),
		outcomes: make(chan outcome, maxRacing), backoff: backoffFirst, hedge: c.cfg.HedgeAfter}
	if p := c.preferred.Load(); p != nil {
		r.next = max(0, slices.Index(r.endpoints, *p))
	}
	if k.sticky || k.hold > 0 || len(r.endpoints) == 1 {
		r.hedge = 0
	} else if len(payload) > slowBody {
		r.hedge = max(r.hedge, c.cfg.AttemptTimeout/2)
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// run returns the first answer.
func (r *race) run() (answer, error) {
	refused := 0 // attempts that failed since the last pause
	pause := time.Duration(0)
	if err := r.launch(); err != nil {
		return answer{}, err
	}
	for {
		o, late := r.await(pause)
		if late {
			pause = 0
			if err := r.launch(); err != nil {
				return answer{}, err
			}
			continue
		}
		if o.err == nil {
			return o.ans, nil
		}
		if err := r.failed(o.err); err != nil {
			return answer{}, err
		}
		if r.k.sticky && mayBeTaken(o.err) {
			r.endpoints, r.next, r.stuck = r.endpoints[o.which:o.which+1], 0, true
		}
		refused++
		switch n := len(r.endpoints); {
		case r.k.once && r.launched == n && len(r.racing) > 0:
		case refused+len(r.racing) >= n && !r.heard && !r.stuck && r.widen():
			if err := r.launch(); err != nil {
				return answer{}, err
			}
		case r.k.once && r.launched == n:
			return answer{}, giveUp(r.ctx, r.k, r.last)
		case refused < n-len(r.racing):
			// The next endpoint may know better: ask it at once.
			if err := r.launch(); err != nil {
				return answer{}, err
			}
		default:
			refused, r.heard, pause = 0, false, r.pause()
		}
	}
}

// launch starts an attempt at the next endpoint that has none under way; there is one.
func (r *race) launch() error {
	if r.c.closed.Load() {
		return fmt.Errorf("%s %s: %w", r.k.method, r.k.path, vstack.ErrClosed)
	}
	n := len(r.endpoints)
	for slices.Contains(r.racing, r.next%n) {
		r.next++
	}
	which := r.next % n
	r.next++
	r.launched++
	r.racing = append(r.racing, which)
	endpoint := r.endpoints[which]
	r.wg.Go(func() {
		ans, err := r.c.attempt(r.ctx, r.k, endpoint, r.payload, r.requestID)
		r.outcomes <- outcome{which, ans, err} // has room for every attempt that runs
	})
	return nil
}

// await waits for an attempt to end, or until it is time for another: after the pause,
// or, when there is none, once the attempts under way are late.
func (r *race) await(pause time.Duration) (_ outcome, late bool) {
	n := len(r.endpoints)
	if pause == 0 && len(r.racing) < min(maxRacing, n) && !(r.k.once && r.launched == n) {
		pause = r.hedge
	}
	var wake <-chan time.Time
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		wake = t.C
	}
	var o outcome
	select {
	case o = <-r.outcomes:
	case <-wake:
		return o, true
	case <-r.ctx.Done():
		if len(r.racing) == 0 {
			return outcome{which: -1, err: r.last}, false
		}
		o = <-r.outcomes // the context ends it
	}
	r.racing = slices.DeleteFunc(r.racing, func(w int) bool { return w == o.which })
	if o.err == nil {
		r.c.preferred.Store(&r.endpoints[o.which])
	}
	return o, false
}

// failed returns the call's error when an attempt's error is the end of it.
func (r *race) failed(err error) error {
	if !retryable(err) {
		return fmt.Errorf("%s %s: %w", r.k.method, r.k.path, err)
	}
	r.c.cfg.Logger.Debug("metastore attempt", "method", r.k.method, "path", r.k.path, "err", err)
	// Keep the reason rather than the cut-off of the final attempt. "No leader" is one,
	// and that the other members cannot be reached is only why.
	var u *unreachable
	r.heard = r.heard || !errors.As(err, &u)
	if r.last == nil || r.ctx.Err() == nil && !(errors.Is(r.last, vstack.ErrNoLeader) && errors.As(err, &u)) {
		r.last = err
	}
	if r.ctx.Err() != nil {
		return giveUp(r.ctx, r.k, r.last)
	}
	return nil
}

// mayBeTaken reports whether a member may have taken a request in spite of the error: it
// was sent, and no answer says otherwise.
func mayBeTaken(err error) bool {
	var u *unreachable
	var dial *net.OpError
	return errors.As(err, &u) && !(errors.As(err, &dial) && dial.Op == "dial")
}

// widen adds the members that were learned since the call began, and those that were
// configured: perhaps nobody of the list that it began with is left. It reports whether
// there are any.
func (r *race) widen() bool {
	n := len(r.endpoints)
	for _, e := range slices.Concat(r.c.members.endpoints(), r.c.cfg.Endpoints) {
		if !slices.Contains(r.endpoints, e) {
			r.endpoints = append(r.endpoints, e)
		}
	}
	if len(r.endpoints) == n {
		return false
	}
	r.next = n
	return true
}

// pause is the time until the next round over the endpoints.
func (r *race) pause() time.Duration {
	d := r.backoff/2 + rand.N(r.backoff)
	limit := backoffMax
	if time.Since(r.began) < eagerFor {
		limit = backoffEager
	}
	r.backoff = min(2*r.backoff, limit)
	return d
}

// end stops the attempts that have lost, and waits for them.
func (r *race) end() {
	r.cancel()
	r.wg.Wait()
}
