package raftnode

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/vstack/vstack/internal/vstack"
)

// A handler that panics is survived by net/http, so the reads behind it must be, too.
func TestAPanicInARoundEndsNoOtherRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRounds()
		entered, release := make(chan struct{}), make(chan struct{})
		first := make(chan any, 1)
		go func() {
			defer func() { first <- recover() }()
			_, _ = r.Do(t.Context(), func(context.Context) (uint64, error) {
				close(entered)
				<-release
				panic("round")
			})
		}()
		<-entered
		second := make(chan error, 1)
		go func() {
			index, err := r.Do(t.Context(), func(context.Context) (uint64, error) { return 7, nil })
			if err == nil && index != 7 {
				err = errors.New("another round's index")
			}
			second <- err
		}()
		synctest.Wait() // the second waits for its turn
		close(release)
		if got := <-first; got != "round" {
			t.Errorf("the panic became %v", got)
		}
		if err := <-second; err != nil {
			t.Errorf("the read behind it: %v", err)
		}
	})
}

func TestThoseWhoShareARoundThatPanicsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRounds()
		<-r.turn // a round is under way
		run := func(context.Context) (uint64, error) { panic("round") }
		led := make(chan any, 1)
		go func() {
			defer func() { led <- recover() }()
			_, _ = r.Do(t.Context(), run)
		}()
		synctest.Wait()
		joined := make(chan error, 1)
		go func() {
			_, err := r.Do(t.Context(), run)
			joined <- err
		}()
		synctest.Wait()
		r.turn <- struct{}{}
		if got := <-led; got != "round" {
			t.Errorf("the panic became %v", got)
		}
		if err := <-joined; !errors.Is(err, vstack.ErrInternal) {
			t.Errorf("a read that shared the round: %v, want INTERNAL", err)
		}
	})
}
