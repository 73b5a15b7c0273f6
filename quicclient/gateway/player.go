package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/doors"
	"github.com/vstack/vstack/quicclient/gateway/watching"
)

// PlayerData is all that a player needs to start, in one answer.
type PlayerData struct {
	Video     vstack.Video         `json:"video"`
	Manifest  *vstack.Manifest     `json:"manifest"`
	Placement *vstack.PlacementMap `json:"placement"`
	// WebTransport is where pages read from the stores themselves: those that are not down.
	WebTransport []doors.Door `json:"webtransport"`
	// Signed is for who may watch a private film without a token: stores want one.
	watching.Signed
}

func (g *Gateway) getPlayer(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	v, err := g.cfg.Catalog.Video(ctx, f.manifest.Video)
	if err != nil {
		return err
	}
	m, err := g.cfg.Catalog.RefreshPlacement(ctx)
	if err != nil {
		return err
	}
	out := PlayerData{Video: v, Manifest: f.manifest, Placement: m, WebTransport: g.doors.List()}
	if f.private && watch.Of(c.Request()) == "" {
		if out.Signed, err = g.watching.Sign(ctx, v.ID, watching.TokenLife); err != nil {
			return err
		}
	}
	c.Response().Header().Set("Cache-Control", "no-cache")
	if out.Token != "" {
		return c.JSON(http.StatusOK, out) // the length of compressed secrets tells of them
	}
	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encode player's data: %w", err)
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, wire.Packed(c.Response().Header(), c.Request(), body))
}

// getToken is what a page asks before its token ends, and for a link that is given on.
func (g *Gateway) getToken(c echo.Context) error {
	id, err := vstack.ParseVideoID(c.Param("video"))
	if err != nil {
		return fmt.Errorf("video %q: %w", clip(c.Param("video")), vstack.ErrNotFound)
	}
	if _, err := g.mayWatch(c, id); err != nil {
		return err
	}
	life, err := watching.ParseLife(c.QueryParam("life"))
	if err != nil {
		return err
	}
	var signed watching.Signed
	if watch.Of(c.Request()) == "" {
		if signed, err = g.watching.Sign(c.Request().Context(), id, life); err != nil {
			return err
		}
	}
	c.Response().Header().Set("Cache-Control", "private, no-store")
	return c.JSON(http.StatusOK, signed)
}

// getDoors answers a page that lost a store: it dials none again that is not here.
func (g *Gateway) getDoors(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.JSON(http.StatusOK, wire.List[doors.Door]{Items: g.doors.List()})
}
