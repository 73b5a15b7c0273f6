package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/cmcd"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
)

const (
	// shownSessions is how many sessions the topic and the list have.
	shownSessions = 100
	// maxReport bounds a player's report, bytes.
	maxReport = 16 << 10
)

func (g *Gateway) getSessions(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, g.allSessions(c.Request().Context()))
}

// allSessions are those of this gateway and of those that it is to ask.
func (g *Gateway) allSessions(ctx context.Context) sessions.Summary {
	own := g.sessions.Summary(shownSessions)
	if g.cfg.Elsewhere != nil {
		own = sessions.Merge(append(g.cfg.Elsewhere.Sessions(ctx), own), shownSessions)
	}
	own.Items = slices.DeleteFunc(own.Items, func(s sessions.Session) bool { return !g.watching.Known(ctx, s.Video) })
	return own
}

func (g *Gateway) getSession(c echo.Context) error {
	s, err := g.sessions.Get(c.Param("id"))
	if errors.Is(err, vstack.ErrNotFound) && g.cfg.Elsewhere != nil {
		s, err = g.cfg.Elsewhere.Session(c.Request().Context(), c.Param("id"))
	}
	if err == nil && !g.watching.Known(c.Request().Context(), s.Video) {
		err = fmt.Errorf("session %q: %w", clip(c.Param("id")), vstack.ErrNotFound)
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, s)
}

func (g *Gateway) postSession(c echo.Context) error {
	var r sessions.Report
	if err := told(c, maxReport, &r); err != nil {
		return err
	}
	if err := g.sessions.Tell(c.Param("id"), r); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// told reads what a page or a player tells, at most so many bytes of JSON.
func told(c echo.Context, most int64, out any) error {
	if err := wire.JSONBody(c.Request()); err != nil {
		return err
	}
	if err := wire.ReadJSON(http.MaxBytesReader(c.Response(), c.Request().Body, most), out, false); err != nil {
		return fmt.Errorf("%s %s: %w: %v", c.Request().Method, clip(c.Request().URL.Path), vstack.ErrInvalid, err)
	}
	return nil
}

// hear notes what a stock player said beside a request that was answered.
func (g *Gateway) hear(c echo.Context, said cmcd.Said) {
	id, err := vstack.ParseVideoID(c.Param("video"))
	if said.Session == "" || err != nil || c.Response().Status >= http.StatusBadRequest {
		return
	}
	g.sessions.Hear(sessions.Heard{
		ID: said.Session, Video: id, Player: player(said), Buffer: said.Buffer, Buffers: said.HasBuffer, Rate: said.Rate,
		Starved: said.Starved, Bytes: c.Response().Size,
	})
}

// player names a player by what it plays: CMCD says no more.
func player(s cmcd.Said) string {
	switch s.Format {
	case "h":
		return "HLS player"
	case "d":
		return "DASH player"
	}
	return "player"
}
