package quicclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/chunkpaxos/survey"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/stores"
)

const (
	// surveyTimeout bounds the survey that the first Commit of an incarnation waits
	// for; a store that takes longer is asked again later, beside the commits.
	surveyTimeout = 2 * time.Second
	// surveyAgain is how long a store that did not answer is left alone.
	surveyAgain = 2 * time.Second
	// maxPages bounds the pages of one store's answer: 64 million slots.
	maxPages = 16 << 10
)

// Chosen returns the slots of an upload that a majority of their acceptors holds: what
// a resumed uploader need not send again. It asks every store that is an acceptor of any
// placement group, once, by a ranged prepare, which fences every earlier incarnation.
// A slot whose acceptors did not answer in a majority is left out.
//
// Errors: ErrFenced, ErrUploadNotLive; ErrNoQuorum, with each store's reason, if no
// store answered; those of the placement map; ctx's error.
func (c *Client) Chosen(ctx context.Context, up vstack.Upload) (map[vstack.Slot]vstack.Value, error) {
	fail := func(err error) (map[vstack.Slot]vstack.Value, error) {
		return nil, fmt.Errorf("find chosen slots of upload %s: %w", up.ID, err)
	}
	m, err := c.pool.Placement(ctx)
	if err != nil {
		return fail(err)
	}
	st, err := c.commits.open(up)
	if err != nil {
		return fail(err)
	}
	defer c.commits.close(st)
	if err := st.run(ctx, m, true, c.cfg.PhaseTimeout); err != nil {
		return fail(err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return maps.Clone(st.chosen), nil
}

// surveyed has the incarnation's survey made before its first round 0. Stores that did
// not answer are asked again in the background, and so is everyone once a group has
// moved to another epoch: until then such slots take the classic path, for a promise
// holds only in the epoch in which it was made.
func (st *uploadState) surveyed(ctx context.Context, m *vstack.PlacementMap) error {
	st.mu.Lock()
	first := st.survey == nil
	moved := !first && (st.epochs != epochsOf(m) || st.behind)
	again := !first && (moved || st.missed != nil) && st.asking == nil && st.c.pool.Now()-st.asked > surveyAgain
	st.mu.Unlock()
	if first {
		return st.run(ctx, m, false, surveyTimeout)
	}
	if again {
		st.c.pool.Spawn(func(ctx context.Context) {
			if err := st.run(ctx, m, moved, surveyTimeout); err != nil {
				st.c.cfg.Logger.Warn("survey upload again", "upload", st.up.ID, "error", err)
			}
		})
	}
	return nil
}

// run makes a survey, or waits for the one under way and, with fresh, makes another.
func (st *uploadState) run(ctx context.Context, m *vstack.PlacementMap, fresh bool, timeout time.Duration) error {
	for {
		st.mu.Lock()
		other := st.asking
		if other == nil {
			break
		}
		st.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
		st.mu.Lock()
		usable := st.survey != nil && !fresh
		st.mu.Unlock()
		if usable {
			return nil
		}
	}
	sv := st.survey
	if fresh || sv == nil {
		var err error
		if sv, err = survey.New(st.up, m); err != nil {
			st.mu.Unlock()
			return err
		}
	}
	done := make(chan struct{})
	st.asking, st.asked = done, st.c.pool.Now()
	st.mu.Unlock()

	answered, refused, missed := st.ask(ctx, sv, m, timeout)

	st.mu.Lock()
	defer st.mu.Unlock()
	defer close(done)
	st.asking = nil
	switch {
	case refused != nil:
		return refused
	case ctx.Err() != nil:
		return ctx.Err()
	case answered == 0 && st.survey != sv:
		return fmt.Errorf("%w: no store answered: %w", vstack.ErrNoQuorum, missed)
	}
	st.survey, st.epochs, st.missed = sv, epochsOf(m), missed
	st.chosen = sv.Chosen()
	return nil
}

// ask sends the ranged prepare to every store that has not answered in full. refused is
// a store's refusal that holds for all of them.
func (st *uploadState) ask(ctx context.Context, sv *survey.Survey, m *vstack.PlacementMap, timeout time.Duration) (answered int, refused, missed error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var mu sync.Mutex // of the survey, beside st.mu for a survey in use, and of the results
	var wg sync.WaitGroup
	for _, t := range st.c.pool.Targets(m, sv.Stores()) {
		wg.Go(func() {
			err := st.askStore(ctx, sv, t.Peer)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				answered++
			case errors.Is(err, vstack.ErrFenced), errors.Is(err, vstack.ErrUploadNotLive), errors.Is(err, vstack.ErrNotOwner),
				errors.Is(err, vstack.ErrUnauthenticated), errors.Is(err, vstack.ErrForbidden), errors.Is(err, vstack.ErrBallotStale):
				refused = err
				cancel()
			default:
				missed = errors.Join(missed, err)
			}
		})
	}
	wg.Wait()
	if errors.Is(refused, vstack.ErrBallotStale) {
		// Nobody but a newer incarnation raises the minimum of an upload.
		refused = fmt.Errorf("%w: %w", vstack.ErrFenced, refused)
	}
	return answered, refused, missed
}

// askStore reads all pages of one store.
func (st *uploadState) askStore(ctx context.Context, sv *survey.Survey, p *stores.Peer) error {
	for range maxPages {
		st.mu.Lock()
		msg, more := sv.Next(p.ID)
		st.mu.Unlock()
		if !more {
			return nil
		}
		reply, err := st.c.ask(ctx, p, msg, nil, nil)
		if err != nil {
			return fmt.Errorf("store %s at %s: %w", p.ID, p.Addr, err)
		}
		switch r := reply.(type) {
		case message.UploadPromise:
			st.mu.Lock()
			err := sv.Add(r)
			st.mu.Unlock()
			if err != nil {
				return err
			}
		case message.Nack:
			return r.Err()
		default:
			return fmt.Errorf("store %s at %s: %w: answered %T", p.ID, p.Addr, vstack.ErrInternal, reply)
		}
	}
	return fmt.Errorf("store %s at %s: %w: more than %d pages", p.ID, p.Addr, vstack.ErrTooLarge, maxPages)
}

func epochsOf(m *vstack.PlacementMap) (e [vstack.PlacementGroups]vstack.Epoch) {
	for i := range min(len(m.Groups), len(e)) {
		e[i] = m.Groups[i].Epoch
	}
	return e
}
