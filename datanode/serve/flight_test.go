package serve

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

func TestReadersOfOneChunkShareOneRead(t *testing.T) {
	r := newRig(t, func(_ *Config, rc *ReaderConfig) { rc.Buffers = NewBuffers(8 * vstack.MaxChunkSize) })
	id, data := r.store.put(vstack.MaxChunkSize)
	release := make(chan struct{})
	r.store.hold(release)
	c := r.client1(t, "HTTP/2.0", r.client.ClientTLS())
	const readers = 5
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			if resp, body := r.get(t, c, "GET", "/v1/chunks/"+id.String(), nil); resp.StatusCode != 200 || !bytes.Equal(body, data) {
				t.Errorf("got %d and %d bytes", resp.StatusCode, len(body))
			}
		})
	}
	waitFor(t, func() bool {
		r.reader.flights.mu.Lock()
		defer r.reader.flights.mu.Unlock()
		fl := r.reader.flights.flying[id]
		return fl != nil && fl.refs == readers
	})
	close(release)
	wg.Wait()
	if r.store.reads != 1 {
		t.Errorf("%d reads at the disk, want 1", r.store.reads)
	}
	waitFor(t, func() bool { return r.reader.cfg.Buffers.budget.Used() == 0 }) // all of it is back
}

func TestLeaderThatHangsUpDoesNotCutTheOthers(t *testing.T) {
	r := newRig(t, nil)
	id, data := r.store.put(1000)
	release := make(chan struct{})
	r.store.hold(release)
	ctx, hangUp := context.WithCancel(t.Context())
	led := make(chan error, 1)
	go func() {
		_, leave, _, err := r.reader.readShared(ctx, id, span{0, 1000})
		if err == nil {
			leave()
		}
		led <- err
	}()
	flying := func(refs int) func() bool {
		return func() bool {
			r.reader.flights.mu.Lock()
			defer r.reader.flights.mu.Unlock()
			fl := r.reader.flights.flying[id]
			return fl != nil && fl.refs == refs
		}
	}
	waitFor(t, flying(1))
	joined := make(chan []byte, 1)
	go func() {
		body, leave, _, err := r.reader.readShared(t.Context(), id, span{0, 1000})
		if err != nil {
			joined <- nil
			return
		}
		joined <- bytes.Clone(body)
		leave()
	}()
	waitFor(t, flying(2))
	hangUp()
	close(release)
	if body := <-joined; !bytes.Equal(body, data) {
		t.Errorf("the other reader got %d bytes", len(body))
	}
	<-led
}

// A handler that panics is survived by net/http, so the readers behind it must be, too.
func TestAPanicInAReadEndsNoOther(t *testing.T) {
	r := newRig(t, func(_ *Config, rc *ReaderConfig) { rc.Buffers = NewBuffers(1) }) // memory for one
	id, data := r.store.put(1000)
	release := make(chan struct{})
	r.store.hold(release)
	r.store.broken = true
	read := func(ctx context.Context) error {
		_, leave, _, err := r.reader.readShared(ctx, id, span{0, 1000})
		if err == nil {
			leave()
		}
		return err
	}
	flying := func(refs int) func() bool {
		return func() bool {
			r.reader.flights.mu.Lock()
			defer r.reader.flights.mu.Unlock()
			fl := r.reader.flights.flying[id]
			return fl != nil && fl.refs == refs
		}
	}
	led, joined := make(chan any, 1), make(chan error, 1)
	go func() {
		defer func() { led <- recover() }()
		_ = read(t.Context()) // panics
	}()
	waitFor(t, flying(1))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { joined <- read(ctx) }()
	waitFor(t, flying(2))
	close(release)
	if got := <-led; got == nil {
		t.Error("the panic was swallowed")
	}
	if err := <-joined; !errors.Is(err, vstack.ErrInternal) {
		t.Errorf("a reader who shared the read: %v, want INTERNAL", err)
	}
	r.store.mu.Lock()
	r.store.broken = false
	r.store.mu.Unlock()
	resp, body := r.get(t, r.client1(t, "HTTP/2.0", r.client.ClientTLS()), "GET", "/v1/chunks/"+id.String(), nil)
	if resp.StatusCode != 200 || !bytes.Equal(body, data) {
		t.Errorf("the next reader got %d and %d bytes", resp.StatusCode, len(body))
	}
}
