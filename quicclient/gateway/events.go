package gateway

import (
	"context"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/live"
)

// newestFilms is how many films the topic films has: the first page of the list.
const newestFilms = 60

// clusterState is the topic cluster.
type clusterState struct {
	Stores []vstack.Store `json:"stores"`
}

// topics are what a page may follow at /v1/events.
func (g *Gateway) topics() map[string]live.Source {
	return map[string]live.Source{
		"cluster": func(ctx context.Context) (any, error) {
			m, err := g.cfg.Catalog.RefreshPlacement(ctx)
			if err != nil {
				return nil, err
			}
			return clusterState{Stores: m.Stores}, nil
		},
		"films": func(ctx context.Context) (any, error) {
			list, err := g.cfg.Catalog.Videos(ctx, metaclient.ListOptions{State: vstack.VideoPublished, Limit: newestFilms})
			list.Items = g.watching.Listed(list.Items)
			return list, err
		},
		"nodes": func(ctx context.Context) (any, error) {
			nodes, err := g.cfg.Catalog.Nodes(ctx)
			return wire.List[wire.Node]{Items: nodes}, err
		},
		"placement": func(ctx context.Context) (any, error) { return g.cfg.Catalog.RefreshPlacement(ctx) },
		"raft":      func(ctx context.Context) (any, error) { return g.cfg.Catalog.RaftStatus(ctx) },
		"sessions":  func(ctx context.Context) (any, error) { return g.allSessions(ctx), nil },
	}
}

func (g *Gateway) getEvents(c echo.Context) error {
	return g.live.Serve(c.Response(), c.Request(), strings.Split(c.QueryParam("topics"), ","))
}
