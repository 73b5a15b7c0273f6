package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/holdings"
)

const (
	// maxList bounds a page of videos.
	maxList = 1000
	// searchPages bounds the pages of the catalog that one search reads; the reader goes on
	// with the cursor.
	searchPages = 10
	// maxSearch bounds what is searched for, bytes.
	maxSearch = 256
)

// getVideos lists a page, or the films of some pages whose title has a text in it.
func (g *Gateway) getVideos(c echo.Context) error {
	opt := metaclient.ListOptions{State: vstack.VideoPublished, Cursor: c.QueryParam("cursor"), Limit: 100}
	if q := c.QueryParam("limit"); q != "" {
		n, err := strconv.Atoi(q)
		if err != nil || n < 1 || n > maxList {
			return fmt.Errorf("limit %q: %w: want 1 to %d", clip(q), vstack.ErrInvalid, maxList)
		}
		opt.Limit = n
	}
	list, err := g.listVideos(c, opt, c.QueryParam("q"))
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.JSON(http.StatusOK, list)
}

func (g *Gateway) listVideos(c echo.Context, opt metaclient.ListOptions, text string) (wire.List[vstack.Video], error) {
	if text == "" {
		list, err := g.cfg.Catalog.Videos(c.Request().Context(), opt)
		list.Items = g.watching.Listed(list.Items)
		return list, err
	}
	if len(text) > maxSearch || !utf8.ValidString(text) {
		return wire.List[vstack.Video]{}, fmt.Errorf("search: %w: want at most %d bytes of UTF-8", vstack.ErrInvalid, maxSearch)
	}
	want := opt.Limit
	opt.Limit = maxList
	words := strings.Fields(strings.ToLower(text))
	found := wire.List[vstack.Video]{Items: []vstack.Video{}}
	for range searchPages {
		page, err := g.cfg.Catalog.Videos(c.Request().Context(), opt)
		if err != nil {
			return found, err
		}
		for _, v := range g.watching.Listed(page.Items) {
			if matches(v, words) {
				found.Items = append(found.Items, v)
			}
		}
		found.Next, opt.Cursor = page.Next, page.Next
		if page.Next == "" || len(found.Items) >= want {
			break
		}
	}
	return found, nil
}

// matches says that every word is in a film's title, or begins its id.
func matches(v vstack.Video, words []string) bool {
	title, id := strings.ToLower(v.Title), v.ID.String()
	for _, w := range words {
		if !strings.Contains(title, w) && !strings.HasPrefix(id, w) {
			return false
		}
	}
	return true
}

func (g *Gateway) getHistory(c echo.Context) error {
	name := c.QueryParam("span")
	if name == "" {
		name = "10m"
	}
	s, err := g.history.Get(name)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, s)
}

// getRedundancy says how all films lie; what single groups bear is the metastore's to list.
func (g *Gateway) getRedundancy(c echo.Context) error {
	r, err := g.cfg.Catalog.Redundancy(c.Request().Context())
	if err != nil {
		return err
	}
	r.Groups, r.Waiting = nil, g.watching.Waiting(c.Request().Context(), r.Waiting)
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, r)
}

func (g *Gateway) getHoldings(c echo.Context) error {
	id, err := vstack.ParseVideoID(c.Param("video"))
	if err != nil {
		return fmt.Errorf("video %q: %w", clip(c.Param("video")), vstack.ErrNotFound)
	}
	if _, err := g.mayWatch(c, id); err != nil {
		return err
	}
	p, err := g.cfg.Catalog.VideoPlacement(c.Request().Context(), id)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, holdings.Of(p))
}

// getKeys answers whoever verifies tokens elsewhere, or wants to know which are known here.
func (g *Gateway) getKeys(c echo.Context) error {
	keys, err := g.watching.Keys(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.JSON(http.StatusOK, keys)
}
