package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// pollEvery is how often readiness is asked for.
	pollEvery = 50 * time.Millisecond
	// askTimeout bounds one round of questions.
	askTimeout = 5 * time.Second
)

// Ready waits until every running host's roles are ready (the metastore's not of one that
// is Outside), all their stores are registered and up, and placement is assigned. It ends early, with the log's last
// lines, when a host's process ends.
func (l *Lab) Ready(ctx context.Context) error {
	id, err := identity.Load(l.Client)
	if err != nil {
		return fmt.Errorf("wait for lab: %w", err)
	}
	w := &waiter{lab: l, web: httpclient.New(httpclient.Config{TLS: id.ClientTLS()})}
	defer w.web.Close()
	client, err := config.LoadClient(l.Client, nil, nil)
	if err != nil {
		return fmt.Errorf("wait for lab: %w", err)
	}
	w.meta, err = metaclient.New(metaclient.Config{Endpoints: client.Metastores, TLS: id.ClientTLS(), PlacementTTL: time.Millisecond})
	if err != nil {
		return fmt.Errorf("wait for lab: %w", err)
	}
	defer w.meta.Close()
	return w.run(ctx)
}

// waiter asks until nothing is missing.
type waiter struct {
	lab  *Lab
	web  *httpclient.Client
	meta *metaclient.Client
	last string
}

// errHostEnded stops the waiting: a process that ended does not become ready.
var errHostEnded = errors.New("host's process ended")

func (w *waiter) run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := w.missing(ctx)
		if err == nil || errors.Is(err, errHostEnded) {
			return err
		}
		if text := err.Error(); text != w.last && ctx.Err() == nil {
			w.last = text
			if w.lab.OnWait != nil {
				w.lab.OnWait(text)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for lab: %w: %w; waiting for %s", vstack.ErrTimeout, context.Cause(ctx), w.last)
		case <-tick.C:
		}
	}
}

// missing returns the first thing that is not ready. All are asked at once: behind a long link
// each answer takes a while.
func (w *waiter) missing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var want, listeners []string
	var hosts []*Host
	for _, h := range w.lab.Hosts {
		if err := h.crashed(); err != nil {
			return err
		}
		if h.Pid() == 0 {
			continue
		}
		for _, addr := range h.listeners() {
			hosts, listeners = append(hosts, h), append(listeners, addr)
		}
		for _, s := range h.Config.Data.Stores {
			want = append(want, s.Addr)
		}
	}
	errs := make([]error, len(listeners))
	var all sync.WaitGroup
	for i, addr := range listeners {
		all.Go(func() { errs[i] = w.ask(ctx, addr) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("host %s: %w", hosts[i].ID, err)
		}
	}
	return w.registered(ctx, want)
}

func (w *waiter) ask(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := w.web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	if resp.StatusCode != http.StatusOK {
		lines := strings.Split(strings.TrimSpace(string(body)), "\n")
		failing := slices.DeleteFunc(lines, func(s string) bool { return !strings.HasPrefix(s, "[-]") })
		return fmt.Errorf("%s is not ready: %s", addr, strings.Join(failing, "; "))
	}
	return nil
}

// registered checks the catalog's view of the stores at the given addresses.
func (w *waiter) registered(ctx context.Context, want []string) error {
	nodes, err := w.meta.Nodes(ctx)
	if err != nil {
		return err
	}
	var stores []vstack.Store
	for _, n := range nodes {
		for _, s := range n.Stores {
			stores = append(stores, s.Store)
		}
	}
	if addr := firstNotUp(stores, want); addr != "" {
		return fmt.Errorf("store %s is not registered as up yet", addr)
	}
	m, err := w.meta.Placement(ctx)
	if err != nil {
		return err
	}
	if !m.Ready() {
		return fmt.Errorf("placement: %w", vstack.ErrNotReady)
	}
	return nil
}

// firstNotUp is the first of the addresses where no store is up. A store whose disk was
// lost stays in the catalog beside the one that answers at its address now.
func firstNotUp(stores []vstack.Store, want []string) string {
	up := map[string]bool{}
	for _, s := range stores {
		up[s.Addr] = up[s.Addr] || s.State == vstack.StoreUp
	}
	for _, addr := range want {
		if !up[addr] {
			return addr
		}
	}
	return ""
}

// listeners are the addresses that answer /readyz.
func (h *Host) listeners() []string {
	var out []string
	if self, ok := h.Config.Self(); ok && h.Config.Has(config.RoleMeta) && !h.Outside {
		out = append(out, self.API)
	}
	if h.Config.Has(config.RoleData) {
		for _, s := range h.Config.Data.Stores {
			out = append(out, s.Addr)
		}
	}
	if h.Config.Has(config.RoleIngest) {
		out = append(out, h.Config.Ingest.Addr)
	}
	if h.Config.Has(config.RoleGateway) {
		out = append(out, h.Config.Gateway.Addr)
	}
	return out
}
