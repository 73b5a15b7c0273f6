package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
)

// fitTimeout is how long the catalog may take to say that it is there.
const fitTimeout = time.Second

// fit says whether players should come here: there is room, and the catalog answers.
func (g *Gateway) fit(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, fitTimeout)
	defer cancel()
	return g.gate.load() < 0.75 && g.cfg.Catalog.Ready(ctx) == nil
}

// pathways are the addresses of a film, this gateway's first; none without others.
func (g *Gateway) pathways(f *film) []playlist.Pathway {
	if g.steer == nil || f.private { // whose addresses here are relative, and carry the token
		return nil
	}
	out := []playlist.Pathway{{Name: g.steer.Self(), Base: "./"}}
	for _, p := range g.steer.Others() {
		out = append(out, playlist.Pathway{Name: p.Name, Base: p.Base.JoinPath("play", f.manifest.Video.String()).String() + "/"})
	}
	return out
}

func (g *Gateway) getSteering(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	if g.steer == nil {
		return fmt.Errorf("steering of video %s: %w: this gateway knows of no other", f.manifest.Video, vstack.ErrNotFound)
	}
	b, err := g.steer.Manifest(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, "application/json", b)
}
