package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

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
	// Inits are the init chunks of pictures and sounds, by track, of those that were at hand.
	Inits map[uint16][]byte `json:"inits,omitempty"`
	// Signed is for who may watch a private film without a token: stores want one.
	watching.Signed
}

func (g *Gateway) getPlayer(c echo.Context) error {
	// The first picture waits for this answer: one way to the catalog and back, not four in a row.
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	var out PlayerData
	var asking sync.WaitGroup
	var noVideo, noPlacement error
	asking.Go(func() { out.Placement, noPlacement = g.cfg.Catalog.RefreshPlacement(ctx) })
	asking.Go(func() { out.WebTransport = g.doors.List() })
	id, unnamed := vstack.ParseVideoID(c.Param("video"))
	if unnamed == nil {
		asking.Go(func() { out.Video, noVideo = g.cfg.Catalog.Video(ctx, id) })
		asking.Go(func() { _, _ = g.films.get(c.Request().Context(), id) }) // filmOf asks for it, too, and says what is wrong
	}
	f, err := g.filmOf(c) // and whether this viewer may have any of it
	if err == nil {
		out.Manifest, out.Inits = f.manifest, g.inits(ctx, f)
	} else {
		cancel()
	}
	asking.Wait()
	if err = cmp.Or(err, noVideo, noPlacement); err != nil {
		return err
	}
	if f.private && watch.Of(c.Request()) == "" {
		if out.Signed, err = g.watching.Sign(c.Request().Context(), out.Video.ID, watching.TokenLife); err != nil {
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

const (
	// initWait bounds what an answer waits for init chunks, which a player can read itself.
	initWait = 100 * time.Millisecond
	// maxInits and maxInitBytes bound those of one answer.
	maxInits, maxInitBytes = 16, 64 << 10
)

// inits are a film's init chunks, a kilobyte or two each: without them each costs a player a read
// of stores that it may need for nothing else.
func (g *Gateway) inits(ctx context.Context, f *film) map[uint16][]byte {
	ctx, cancel := context.WithTimeout(ctx, initWait)
	defer cancel()
	var tracks []vstack.Track
	left := uint32(maxInitBytes)
	for _, t := range f.manifest.Tracks {
		if (t.Kind == vstack.TrackVideo || t.Kind == vstack.TrackAudio) && !t.Init.ID.IsZero() && t.Init.Size <= left && len(tracks) < maxInits {
			tracks = append(tracks, t)
			left -= t.Init.Size
		}
	}
	read := make([][]byte, len(tracks))
	var reading sync.WaitGroup
	for i, t := range tracks {
		reading.Go(func() {
			if b, err := g.chunks.Get(ctx, vstack.Slot{Video: f.manifest.Video, Track: t.Number, Seq: t.Init.Seq}, t.Init); err == nil {
				read[i] = b
			}
		})
	}
	reading.Wait()
	out := map[uint16][]byte{}
	for i, b := range read {
		if b != nil {
			out[tracks[i].Number] = b
		}
	}
	return out
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

// getDoors answers a page that lost a store: it dials none again that is not here. With known it is
// for one that begins.
func (g *Gateway) getDoors(c echo.Context) error {
	list := g.doors.List
	switch known := c.QueryParam("known"); known {
	case "":
	case "true":
		list = g.doors.Known
	default:
		return fmt.Errorf("known %q: %w: want true", clip(known), vstack.ErrInvalid)
	}
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.JSON(http.StatusOK, wire.List[doors.Door]{Items: list()})
}
