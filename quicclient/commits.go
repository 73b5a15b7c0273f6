package quicclient

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/vstack/vstack/chunkpaxos/survey"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxUploads bounds the incarnations that a client remembers the ballots of.
	maxUploads = 256
	// maxEnded bounds the incarnations of which it only knows that they have ended.
	maxEnded = 4096
)

// commits is what a client remembers of the uploads that it commits chunks of: which
// ballots it used, because none may be used for a second value, and what its surveys
// found.
type commits struct {
	c          *Client
	stragglers *semaphore.Weighted // bytes
	running    sync.WaitGroup      // stragglers

	mu       sync.Mutex
	draining bool
	uploads  map[uploadKey]*uploadState
	ended    map[uploadKey]struct{} // by Forget
	order    []uploadKey            // of ended, the oldest first
	// evicted is the newest incarnation whose ballots were forgotten.
	evicted vstack.Incarnation
}

type uploadKey struct {
	id          vstack.UploadID
	incarnation vstack.Incarnation
}

// uploadState is one incarnation of one upload.
type uploadState struct {
	c  *Client
	up vstack.Upload

	users    int           // commits under way; guarded by commits.mu
	ended    bool          // goes with its last user; guarded by commits.mu
	lastUsed time.Duration // guarded by commits.mu

	mu     sync.Mutex
	used   map[vstack.Slot]vstack.Ballot        // the highest ballot used, by slot
	busy   map[vstack.Slot]chan struct{}        // slots that a Commit works on
	chosen map[vstack.Slot]vstack.Value         // that the survey shows
	survey *survey.Survey                       // nil before the first
	epochs [vstack.PlacementGroups]vstack.Epoch // that the survey is about
	asking chan struct{}                        // closed when the survey under way ended
	asked  time.Duration                        // when the last survey began
	missed error                                // why the last survey is not complete
	behind bool                                 // all answered, some in the middle of an epoch change
}

func (s *commits) init(c *Client) {
	s.c = c
	s.stragglers = semaphore.NewWeighted(c.cfg.StragglerBytes)
	s.uploads = make(map[uploadKey]*uploadState)
	s.ended = make(map[uploadKey]struct{})
}

// open finds or makes the state of an incarnation; close ends its use.
func (s *commits) open(up vstack.Upload) (*uploadState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := uploadKey{up.ID, up.Incarnation}
	if _, ended := s.ended[key]; ended {
		return nil, fmt.Errorf("%w: this incarnation of upload %s has ended here", vstack.ErrFenced, up.ID)
	}
	st := s.uploads[key]
	if st == nil {
		if up.Incarnation <= s.evicted {
			// Its ballots are forgotten, and one of them might be used a second time.
			return nil, fmt.Errorf("%w: upload %s was idle for too long, resume it", vstack.ErrFenced, up.ID)
		}
		if len(s.uploads) >= maxUploads && !s.evictLocked() {
			return nil, fmt.Errorf("%w: %d uploads at once", vstack.ErrUnavailable, maxUploads)
		}
		st = &uploadState{c: s.c, up: up, used: make(map[vstack.Slot]vstack.Ballot), busy: make(map[vstack.Slot]chan struct{})}
		s.uploads[key] = st
	}
	st.users++
	return st, nil
}

func (s *commits) close(st *uploadState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.users--
	st.lastUsed = s.c.pool.Now()
	if st.ended && st.users == 0 {
		delete(s.uploads, uploadKey{st.up.ID, st.up.Incarnation})
	}
}

// forget drops an incarnation's ballots, at up to 65,536 slots some 7 MiB, and keeps only
// that there must be no more of them.
func (s *commits) forget(up vstack.Upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := uploadKey{up.ID, up.Incarnation}
	if _, again := s.ended[key]; again {
		return
	}
	if st := s.uploads[key]; st != nil {
		if st.ended = true; st.users == 0 {
			delete(s.uploads, key)
		}
	}
	if len(s.order) == maxEnded {
		s.evicted = max(s.evicted, s.order[0].incarnation)
		delete(s.ended, s.order[0])
		s.order = s.order[1:]
	}
	s.ended[key] = struct{}{}
	s.order = append(s.order, key)
}

// evictLocked forgets the incarnation that has been idle for the longest.
func (s *commits) evictLocked() bool {
	var oldest *uploadState
	for _, st := range s.uploads {
		if st.users == 0 && (oldest == nil || st.lastUsed < oldest.lastUsed) {
			oldest = st
		}
	}
	if oldest == nil {
		return false
	}
	delete(s.uploads, uploadKey{oldest.up.ID, oldest.up.Incarnation})
	s.evicted = max(s.evicted, oldest.up.Incarnation)
	return true
}

// straggle lets a PUT run on after its chunk was chosen, for at most StragglerTimeout;
// false when enough bytes are under way like that.
func (s *commits) straggle(cl *call, bytes int64) bool {
	if !s.stragglers.TryAcquire(bytes) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		s.stragglers.Release(bytes)
		return false
	}
	s.running.Add(1)
	started := s.c.pool.Spawn(func(ctx context.Context) {
		defer s.running.Done()
		defer s.stragglers.Release(bytes)
		timer := time.NewTimer(s.c.cfg.StragglerTimeout)
		defer timer.Stop()
		select {
		case <-cl.done:
		case <-timer.C:
			cl.cancel()
		case <-ctx.Done():
		}
	})
	if !started {
		s.running.Done()
		s.stragglers.Release(bytes)
	}
	return started
}

// drain waits for the stragglers and lets no new one begin.
func (s *commits) drain() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	s.running.Wait()
}

// lock makes a slot this Commit's own: two proposers of one process must not share a
// ballot.
func (st *uploadState) lock(ctx context.Context, slot vstack.Slot) error {
	for {
		st.mu.Lock()
		other := st.busy[slot]
		if other == nil {
			st.busy[slot] = make(chan struct{})
			st.mu.Unlock()
			return nil
		}
		st.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (st *uploadState) unlock(slot vstack.Slot) {
	st.mu.Lock()
	defer st.mu.Unlock()
	close(st.busy[slot])
	delete(st.busy, slot)
}

func (st *uploadState) usedBallot(slot vstack.Slot) vstack.Ballot {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.used[slot]
}

func (st *uploadState) use(slot vstack.Slot, b vstack.Ballot) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.used[slot].Less(b) {
		st.used[slot] = b
	}
}

// found returns what the survey shows to be chosen for a slot.
func (st *uploadState) found(slot vstack.Slot) (vstack.Value, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	v, ok := st.chosen[slot]
	return v, ok
}

// fast reports whether round 0 may be tried for a slot.
func (st *uploadState) fast(slot vstack.Slot, e vstack.Epoch) bool {
	if me := st.c.cfg.Proposer; !me.IsZero() && me != st.up.Owner {
		return false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.survey != nil && st.survey.Fast(slot, e)
}
