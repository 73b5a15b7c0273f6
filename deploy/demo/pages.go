package demo

import (
	"context"
	"errors"
	"syscall"

	"github.com/vstack/vstack/deploy/pages"
)

// openPages serves V-Stack's pages until ctx ends or stop is called, and says their link:
// one click opens the film. The channel tells that they ended by themselves.
func (d *demo) openPages(ctx context.Context) (ended <-chan error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	failed, done := make(chan error, 1), make(chan struct{})
	opened := make(chan struct{})
	serve := func(addr string) error {
		return pages.Serve(ctx, d.cluster, addr, d.cfg.Version, nil, func(url string) {
			d.p.Say("\n  %s %s", d.cfg.Paint.Accent("open      "), d.cfg.Paint.Bold(url))
			close(opened)
		})
	}
	go func() {
		defer close(done)
		err := serve(pages.DefaultAddr)
		if errors.Is(err, syscall.EADDRINUSE) { // another demo or console: any port will do
			err = serve("127.0.0.1:0")
		}
		if ctx.Err() == nil {
			failed <- err
		}
	}()
	select {
	case <-opened:
	case <-done:
	}
	return failed, func() { cancel(); <-done }
}
