package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/doors"
)

// PlayerData is all that a player needs to start, in one answer.
type PlayerData struct {
	Video     vstack.Video         `json:"video"`
	Manifest  *vstack.Manifest     `json:"manifest"`
	Placement *vstack.PlacementMap `json:"placement"`
	// WebTransport is where pages read from the stores themselves: those that are not down.
	WebTransport []doors.Door `json:"webtransport"`
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
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.JSON(http.StatusOK, PlayerData{Video: v, Manifest: f.manifest, Placement: m, WebTransport: g.doors.List()})
}

// getDoors answers a page that lost a store: it dials none again that is not here.
func (g *Gateway) getDoors(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.JSON(http.StatusOK, wire.List[doors.Door]{Items: g.doors.List()})
}
