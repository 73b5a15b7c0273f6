package metaclient

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// standing answers nothing until release is closed, and then the map.
func standing(t *testing.T, m *vstack.PlacementMap) (member *member, asked chan struct{}, release chan struct{}) {
	asked, release = make(chan struct{}, 16), make(chan struct{})
	member = serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
			give(*m)(w, r)
		case <-r.Context().Done():
		}
	})
	return member, asked, release
}

func TestACallerWaitsForThePlacementAsLongAsItsOwnContextAllows(t *testing.T) {
	m := ready(3)
	member, asked, release := standing(t, &m)
	c := connect(t, func(c *Config) { c.AttemptTimeout = time.Minute }, member)
	var patient sync.WaitGroup
	patient.Go(func() {
		if got, err := c.Placement(t.Context()); err != nil || got.Version != 3 {
			t.Errorf("the caller that waited got %v, %v", got, err)
		}
	})
	<-asked
	for name, call := range map[string]func(context.Context) (*vstack.PlacementMap, error){"Placement": c.Placement, "RefreshPlacement": c.RefreshPlacement} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		done := make(chan error, 1)
		go func() {
			_, err := call(ctx)
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, vstack.ErrTimeout) {
				t.Errorf("%s: %v, want a timeout", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s waits for another caller's request beyond its own 50 ms", name)
			defer func() { <-done }()
		}
		cancel()
	}
	close(release)
	patient.Wait()
	if n := len(asked); n != 0 {
		t.Errorf("%d more requests were made by callers that could share one", n)
	}
}

func TestARequestThatNobodyWaitsForEnds(t *testing.T) {
	m := ready(3)
	member, asked, release := standing(t, &m)
	c := connect(t, func(c *Config) { c.AttemptTimeout = time.Minute }, member)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Placement(ctx)
		done <- err
	}()
	<-asked
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want what ended the caller", err)
	}
	c.placement.wg.Wait() // the request has ended, though its member never answered
	close(release)
	if got, err := c.Placement(t.Context()); err != nil || got.Version != 3 {
		t.Errorf("the next caller got %v, %v", got, err)
	}
}

func TestARefreshIsNotAnsweredByAnEarlierRequest(t *testing.T) {
	old, fresh := ready(3), ready(4)
	var mu sync.Mutex
	n := 0
	first, release := make(chan struct{}), make(chan struct{})
	member := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		mine := n
		mu.Unlock()
		if mine == 1 {
			close(first)
			<-release
			give(old)(w, r)
			return
		}
		give(fresh)(w, r)
	})
	c := connect(t, nil, member)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Placement(t.Context()) })
	<-first
	wg.Go(func() {
		if got, err := c.RefreshPlacement(t.Context()); err != nil || got.Version != 4 {
			t.Errorf("refreshed to %v, %v; want what was so after the call", got, err)
		}
	})
	close(release)
	wg.Wait()
}

func TestAClosedClientAsksForNoPlacement(t *testing.T) {
	m := ready(3)
	member, asked, release := standing(t, &m)
	c := connect(t, nil, member)
	done := make(chan error, 1)
	go func() {
		_, err := c.Placement(context.Background())
		done <- err
	}()
	<-asked
	c.Close()
	if err := <-done; err == nil {
		t.Error("answered without an answer")
	}
	if _, err := c.Placement(t.Context()); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	close(release)
}
