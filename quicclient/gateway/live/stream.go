package live

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	// beat keeps proxies from closing a stream on which nothing happens.
	beat = 15 * time.Second
	// writeTimeout ends a stream whose reader takes nothing.
	writeTimeout = 30 * time.Second
)

// Serve answers a request with the topics' values as server-sent events until the reader
// leaves. An error means that nothing was answered yet.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, names []string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	if err := h.join(names); err != nil {
		return err
	}
	defer h.leave(names)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()

	ctl := http.NewResponseController(w)
	defer func() { _ = ctl.SetWriteDeadline(time.Time{}) }()
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	s := stream{w: w, ctl: ctl}
	if s.say(": V-Stack\n\n") != nil {
		return nil
	}
	// One goroutine a topic waits for its news; this one alone writes.
	news := make(chan event)
	for _, n := range names {
		h.wg.Go(func() { h.follow(ctx, n, news) })
	}
	timer := time.NewTicker(beat)
	defer timer.Stop()
	for {
		var err error
		select {
		case e := <-news:
			err = s.say(fmt.Sprintf("event: %s\ndata: %s\n\n", e.name, e.value))
		case <-timer.C:
			err = s.say(": still here\n\n")
		case <-ctx.Done():
			return nil
		}
		if err != nil {
			return nil // the reader is gone
		}
	}
}

type event struct {
	name  string
	value []byte
}

// follow passes on each value that a topic has while the stream is ready for it.
func (h *Hub) follow(ctx context.Context, name string, to chan<- event) {
	var last []byte
	for {
		value, changed := h.look(name)
		if value != nil && !bytes.Equal(value, last) {
			last = value
			select {
			case to <- event{name, value}:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

type stream struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func (s stream) say(text string) error {
	_ = s.ctl.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every connection has one
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.ctl.Flush()
}
