package demo

import (
	"context"
	"errors"
	"syscall"

	"github.com/vstack/vstack/deploy/pages"
)

// openPages serves V-Stack's pages until ctx ends, drills by a button among them, and says
// their link: one click opens the film. The channel tells that they have ended, and why where
// that was by themselves.
func (d *demo) openPages(ctx context.Context, drills pages.Drills) (ended <-chan error) {
	done, opened := make(chan error, 1), make(chan struct{})
	serve := func(addr string) error {
		return pages.Serve(ctx, d.cluster, pages.ServeOptions{Addr: addr, Version: d.cfg.Version, Links: d.cfg.CompareOver, Drills: drills, Opened: func(url string) {
			d.p.Say("\n  %s %s", d.cfg.Paint.Accent("open      "), d.cfg.Paint.Bold(url))
			close(opened)
		}})
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		err := serve(pages.DefaultAddr)
		if errors.Is(err, syscall.EADDRINUSE) { // another demo or console: any port will do
			err = serve("127.0.0.1:0")
		}
		if ctx.Err() != nil {
			err = nil
		}
		done <- err
	}()
	select {
	case <-opened:
	case <-over:
	}
	return done
}
