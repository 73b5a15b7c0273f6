package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// maxAnswer bounds a JSON answer of a role.
const maxAnswer = 16 << 20

// Cluster is a connection to a cluster. It is safe for concurrent use.
type Cluster struct {
	// Meta asks the metastore.
	Meta *metaclient.Client

	cfg    *config.Client
	id     *identity.Identity
	web    *http.Client // HTTP/1.1 to uploaders and stores
	logger *slog.Logger
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
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	meta, err := metaclient.New(metaclient.Config{Endpoints: cfg.Metastores, TLS: id.ClientTLS(), Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	return &Cluster{Meta: meta, cfg: cfg, id: id, web: newWeb(id.ClientTLS()), logger: logger}, nil
}

// newWeb makes the HTTP/1.1 client.
func newWeb(conf *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: conf,
		// A refused upload should be refused before its bytes are sent: a refusal that
		// crosses them on the way is lost in a connection reset.
		ExpectContinueTimeout: 2 * time.Second,
		MaxIdleConnsPerHost:   verifyParallel,
	}}
}

// Close ends the connections.
func (c *Cluster) Close() {
	c.web.CloseIdleConnections()
	c.Meta.Close()
}

// Chunks makes a client of the data plane; "" is the default policy. The caller closes it.
func (c *Cluster) Chunks(policy string) (*quicclient.Client, error) {
	p, err := quicclient.PolicyByName(policy)
	if err != nil {
		return nil, err
	}
	return quicclient.New(quicclient.Config{TLS: c.id.ClientTLS(), Placement: c.Meta.Placement, Policy: p, Logger: c.logger})
}

// Get reads a role's JSON answer at https://addr/path; out may be nil.
func (c *Cluster) Get(ctx context.Context, addr, path string, out any) error {
	return c.Call(ctx, http.MethodGet, addr, path, nil, out)
}

// Call sends in, when there is one, as JSON, and reads out, when there is one.
func (c *Cluster) Call(ctx context.Context, method, addr, path string, in io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+addr+path, in)
	if err != nil {
		return fmt.Errorf("%s %s%s: %w", method, addr, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.web.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", vstack.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return wire.ReadError(resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read answer of %s%s: %w", addr, path, err)
	}
	return nil
}

// Videos follows cursors until the end, or until limit when that is above 0.
func (c *Cluster) Videos(ctx context.Context, state vstack.VideoState, limit int) ([]vstack.Video, error) {
	all := []vstack.Video{}
	opt := metaclient.ListOptions{State: state, Limit: pageSize}
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
