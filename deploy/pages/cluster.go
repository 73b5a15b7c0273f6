package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/gateway"
)

// closeTimeout bounds what is left to tell the catalog at the end.
const closeTimeout = 5 * time.Second

// ServeOptions say how a cluster's pages are served.
type ServeOptions struct {
	Addr    string // a loopback HOST:PORT; default DefaultAddr
	Version wire.Version
	// Drills, when set, are done by a button.
	Drills Drills
	// Links, when set, are what comparisons may go over.
	Links Links
	// Opened is told the link to open.
	Opened func(url string)
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Serve serves a cluster's pages at a loopback address until ctx ends.
func Serve(ctx context.Context, c *cluster.Cluster, opt ServeOptions) (err error) {
	chunks, err := c.Chunks("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chunks.Close()) }()
	sign := newSigner(c.Meta)
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, sign.Close(last))
	}()
	pages, err := gateway.New(gateway.Config{Catalog: c.Meta, Chunks: chunks, Signer: sign, Inside: true, Elsewhere: elsewhere{c}, Version: opt.Version, Logger: opt.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.Close()) }()
	srv, err := Open(Config{
		Addr: opt.Addr, Pages: pages.Handler(), Stop: pages.Stop, Uploaders: c.Uploaders(), Transport: c.Transport(), Catalog: c.Meta, Roles: c,
		Play: players(c), Links: opt.Links, Placement: c.Meta.RefreshPlacement, Drills: opt.Drills, Voters: voting{c}, Logger: opt.Logger,
	})
	if err != nil {
		return err
	}
	opt.Opened(srv.URL())
	return srv.Run(ctx)
}

// players plays a film as vstack video play would, told of nowhere.
func players(c *cluster.Cluster) Players {
	quiet := console.NewProgress(console.ProgressNone, io.Discard)
	return func(ctx context.Context, r PlayRequest, onEvent func(quicclient.Event)) (quicclient.Report, error) {
		m, err := c.Meta.Manifest(ctx, r.Video)
		if err != nil {
			return quicclient.Report{}, err
		}
		return c.Over(r.Over).Play(ctx, quiet, m, r.Policy, quicclient.PlayOptions{Speed: r.Speed, OnEvent: onEvent})
	}
}

// voting asks stores for their votes.
type voting struct{ c *cluster.Cluster }

func (v voting) RefreshPlacement(ctx context.Context) (*vstack.PlacementMap, error) {
	return v.c.Meta.RefreshPlacement(ctx)
}

func (v voting) Slot(ctx context.Context, addr string, slot vstack.Slot) (st message.SlotState, err error) {
	return st, v.c.Get(ctx, addr, fmt.Sprintf("/v1/paxos/slots/%s/%d/%d", slot.Video, slot.Track, slot.Seq), &st)
}

func (v voting) Messages(ctx context.Context, addr string, after uint64, fresh bool, oneIn uint32) (page wire.HeardPage, err error) {
	path := fmt.Sprintf("%s?one_in=%d", wire.PathMessages, oneIn)
	if !fresh {
		path += fmt.Sprintf("&after=%d", after)
	}
	return page, v.c.Get(ctx, addr, path, &page)
}
