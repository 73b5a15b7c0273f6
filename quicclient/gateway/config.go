package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
	"github.com/vstack/vstack/quicclient/gateway/steer"
	"github.com/vstack/vstack/quicclient/gateway/watching"
)

// Catalog is what a gateway asks the metastore; *metaclient.Client is one.
type Catalog interface {
	Manifest(ctx context.Context, id vstack.VideoID) (*vstack.Manifest, error)
	Video(ctx context.Context, id vstack.VideoID) (vstack.Video, error)
	Videos(ctx context.Context, opt metaclient.ListOptions) (wire.List[vstack.Video], error)
	RefreshPlacement(ctx context.Context) (*vstack.PlacementMap, error)
	Ready(ctx context.Context) error
	// What pages show of the cluster.
	Nodes(ctx context.Context) ([]wire.Node, error)
	RaftStatus(ctx context.Context) (wire.RaftStatus, error)
	Redundancy(ctx context.Context) (wire.Redundancy, error)
	VideoPlacement(ctx context.Context, id vstack.VideoID) (wire.VideoPlacement, error)
}

// Chunks is where verified chunks come from; *quicclient.Client is one.
type Chunks interface {
	Fetch(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef) (quicclient.Fetched, error)
	// Hint tells how a video lies before its chunks are fetched.
	Hint(v vstack.Video, m *vstack.Manifest)
}

// Elsewhere knows the sessions that other gateways were told of.
type Elsewhere interface {
	Sessions(ctx context.Context) []sessions.Summary
	Session(ctx context.Context, id string) (sessions.Session, error)
}

// Config configures a Gateway. Zero values take their defaults.
type Config struct {
	Catalog Catalog // required
	Chunks  Chunks  // required

	// CacheBytes bounds the chunks kept for the next viewer. Default 256 MiB.
	CacheBytes int64
	// LoadingBytes bounds the chunks that are being fetched. Default 64 MiB.
	LoadingBytes int64
	// FilmChunks bounds the prepared films, counted by the chunks and fragments in their
	// manifests, of about 150 B each. Default 1,000,000.
	FilmChunks int64
	// FilmAge is how long a prepared film is used before the catalog is asked again: a
	// deleted film plays on for so long. Default 30 s.
	FilmAge time.Duration
	// MaxRequests bounds the requests being answered. Default 2,048.
	MaxRequests int
	// QueueWait bounds the wait for a turn. Default 2 s.
	QueueWait time.Duration
	// StepTimeout is how long a viewer may take no byte. Default 30 s.
	StepTimeout time.Duration

	// Name is this gateway among Pathways: other gateways of the same films, between which
	// players are steered; none by default.
	Name     string
	Pathways []steer.Pathway
	// PathwayClient asks the others whether they are ready. Default http.DefaultClient.
	PathwayClient *http.Client

	// Signer signs playback tokens for who is inside. Default: nobody does.
	Signer watching.Signer
	// Inside says that lists, and whatever else is no film, are read by administrators alone, as
	// at a console: they leave nothing out. Who asks for a film is inside by watching.Inside.
	Inside bool

	// Elsewhere adds the sessions of other gateways to those of this one. Default: none.
	Elsewhere Elsewhere

	Version wire.Version
	// Registry takes the metrics. Default: none.
	Registry *prometheus.Registry
	// Tracer makes spans of requests; nil makes none.
	Tracer *tracing.Tracer
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Validate checks the configuration and fills in the defaults.
func (c *Config) Validate() error {
	if c.Catalog == nil || c.Chunks == nil {
		return fmt.Errorf("gateway: %w: no catalog, or nowhere to fetch chunks", vstack.ErrInvalid)
	}
	for _, n := range []struct {
		v   *int64
		def int64
	}{{&c.CacheBytes, 256 << 20}, {&c.LoadingBytes, 64 << 20}, {&c.FilmChunks, 1_000_000}} {
		if *n.v < 0 {
			return fmt.Errorf("gateway: %w: negative bound %d", vstack.ErrInvalid, *n.v)
		}
		if *n.v == 0 {
			*n.v = n.def
		}
	}
	if c.LoadingBytes < vstack.MaxChunkSize {
		return fmt.Errorf("gateway: %w: %d bytes for chunks being fetched, want at least one of %d", vstack.ErrInvalid, c.LoadingBytes, vstack.MaxChunkSize)
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.FilmAge, 30 * time.Second}, {&c.QueueWait, 2 * time.Second}, {&c.StepTimeout, 30 * time.Second}} {
		if *d.v < 0 {
			return fmt.Errorf("gateway: %w: negative duration %v", vstack.ErrInvalid, *d.v)
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if c.MaxRequests < 0 {
		return fmt.Errorf("gateway: %w: %d requests", vstack.ErrInvalid, c.MaxRequests)
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = 2048
	}
	if c.PathwayClient == nil {
		c.PathwayClient = http.DefaultClient
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
