package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster/verify"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	// maxAnswer bounds a role's metrics.
	maxAnswer = 16 << 20
	// receiveTimeout is how long an uploader may take to answer behind a film's last byte.
	receiveTimeout = 10 * time.Minute
	// stallTimeout is how long an uploader may take no byte of a film.
	stallTimeout = 2 * time.Minute
)

// Cluster is a connection to a cluster. It is safe for concurrent use.
type Cluster struct {
	// Meta asks the metastore.
	Meta *metaclient.Client

	cfg    *config.Client
	id     *identity.Identity
	web    *httpclient.Client // to stores, and for short calls to uploaders
	films  *httpclient.Client // of films, to uploaders
	logger *slog.Logger

	network network.Network // to stores, of the data plane; nil: the operating system's
}

// Open reads the identity of a client bundle; a bundle without tls.crt is a reader's.
// It makes no call yet. logger may be nil.
func Open(cfg *config.Client, logger *slog.Logger) (*Cluster, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	id, err := identity.Load(cfg.TLS)
	if errors.Is(err, fs.ErrNotExist) {
		id, err = identity.LoadRoots(filepath.Join(cfg.TLS, "ca.crt"))
	}
	if errors.Is(err, identity.ErrExpired) {
		return nil, console.Hint(fmt.Errorf("open cluster: %w", err), "vstack lab renew DIR  where the authority is kept, then take DIR/client in place of %s", cfg.TLS)
	}
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	meta, err := metaclient.New(metaclient.Config{Endpoints: cfg.Metastores, TLS: id.ClientTLS(), Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	return &Cluster{Meta: meta, cfg: cfg, id: id, web: newWeb(id.ClientTLS()), films: newFilms(id.ClientTLS()), logger: logger}, nil
}

// askParallel is how many stores are asked at once.
const askParallel = verify.Parallel

// newWeb makes the client of short calls and of chunks: a host that was stopped holds a
// command no longer than the package's timeouts.
func newWeb(conf *tls.Config) *httpclient.Client {
	return httpclient.New(httpclient.Config{TLS: conf, IdleConns: askParallel})
}

// newFilms makes the client of uploads, whose answer comes when the film is on disk.
func newFilms(conf *tls.Config) *httpclient.Client {
	return httpclient.New(httpclient.Config{TLS: conf, HeaderTimeout: receiveTimeout, StallTimeout: stallTimeout})
}

// Close ends the connections.
func (c *Cluster) Close() {
	c.web.Close()
	c.films.Close()
	c.Meta.Close()
}

// IsMe reports whether a revocation made now would be of the certificate in use here.
func (c *Cluster) IsMe(r vstack.Revocation, now time.Time) bool { return c.id.Names(r, now) }

// Uploaders are the addresses of the role ingest.
func (c *Cluster) Uploaders() []string { return c.cfg.Uploaders }

// Gateways are the addresses of the role gateway.
func (c *Cluster) Gateways() []string { return c.cfg.Gateways }

// Transport reaches uploaders under the bundle's certificate, with the patience that a film
// on its way wants.
func (c *Cluster) Transport() http.RoundTripper { return c.films }

// TLS is what the bundle's owner dials with.
func (c *Cluster) TLS() *tls.Config { return c.id.ClientTLS() }

// Over is the cluster with another network between its stores and the clients of the data plane
// that it makes; nil is what there is. It is closed with c.
func (c *Cluster) Over(n network.Network) *Cluster {
	over := *c
	over.network = n
	return &over
}

// Chunks makes a client of the data plane; "" is the default policy. The caller closes it.
func (c *Cluster) Chunks(policy string) (*quicclient.Client, error) {
	p, err := quicclient.PolicyByName(policy)
	if err != nil {
		return nil, err
	}
	return quicclient.New(quicclient.Config{TLS: c.id.ClientTLS(), Placement: c.Meta.Placement, Policy: p, Network: c.network, Logger: c.logger})
}

// Get reads a role's JSON answer at https://addr/path; out may be nil.
func (c *Cluster) Get(ctx context.Context, addr, path string, out any) error {
	return c.Call(ctx, http.MethodGet, addr, path, nil, out)
}

// Call sends in, when there is one, as JSON, and reads out, when there is one.
func (c *Cluster) Call(ctx context.Context, method, addr, path string, in io.Reader, out any) error {
	return c.web.JSON(ctx, method, "https://"+addr+path, in, out)
}

// Videos follows cursors until the end, or until limit when that is above 0.
func (c *Cluster) Videos(ctx context.Context, state vstack.VideoState, limit int) ([]vstack.Video, error) {
	return c.list(ctx, metaclient.ListOptions{State: state, Limit: pageSize}, limit)
}

// KnownVideos lists what one member knows, also where there is no leader.
func (c *Cluster) KnownVideos(ctx context.Context, state vstack.VideoState, limit int) ([]vstack.Video, error) {
	return c.list(ctx, metaclient.ListOptions{State: state, Limit: pageSize, Stale: true}, limit)
}

func (c *Cluster) list(ctx context.Context, opt metaclient.ListOptions, limit int) ([]vstack.Video, error) {
	all := []vstack.Video{}
	for {
		page, err := c.Meta.Videos(ctx, opt)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if page.Next == "" {
			return all, nil
		}
		opt.Cursor = page.Next
	}
}

// pageSize is how many videos one call lists.
const pageSize = 500
