package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/datakey"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// heapFloor is what the garbage collector takes for live before anything is.
const heapFloor = 64 << 20

// part is one thing that a host runs.
type part struct {
	name  string
	run   func(context.Context) error
	close func() error
}

// host is what the roles of one process share while they are put together.
type host struct {
	cfg     *config.Server
	log     *slog.Logger
	id      *identity.Identity
	meta    *metaclient.Client
	version wire.Version
	tracer  *tracing.Tracer
	keys    *keyfile.Keys // of its directories
	parts   []part        // in the order of start; stopped the other way round
	// registries are the roles' metrics, by role.
	registries map[string]*prometheus.Registry
}

func newHost(cfg *config.Server, version wire.Version, log *slog.Logger) *host {
	version.Host, version.Roles = vstack.HostID(cfg.Host), cfg.Roles
	return &host{cfg: cfg, keys: keyfile.New(datakey.Wrapping(cfg)), log: log.With("host", cfg.Host), version: version, registries: map[string]*prometheus.Registry{}}
}

// Run opens the roles, runs them and, when ctx ends or one of them breaks, stops them
// in the opposite order.
func Run(ctx context.Context, cfg *config.Server, version wire.Version, log *slog.Logger) error {
	h := newHost(cfg, version, log)
	slog.SetDefault(h.log) // libraries that log by themselves
	// A small heap is collected hundreds of times a second when every commit leaves some
	// garbage. This one is never touched, so it takes no memory, and lets the garbage grow
	// to its size at least.
	floor := make([]byte, heapFloor)
	defer runtime.KeepAlive(floor)
	if err := h.open(ctx); err != nil {
		return errors.Join(fmt.Errorf("start host %s: %w", cfg.Host, err), h.closeAll())
	}
	h.tell(daemon.SdNotifyReady)
	h.log.Info("host runs", "roles", cfg.Roles, "version", h.version.Version, "commit", h.version.Commit, "pid", os.Getpid())
	err := errors.Join(h.run(ctx), h.closeAll())
	h.log.Info("host ended", "err", err)
	return err
}

func (h *host) open(ctx context.Context) error {
	var err error
	if h.id, err = identity.Load(h.cfg.TLS); err != nil {
		return err
	}
	h.id.LogReloads(h.log)
	if err := h.addTracer(ctx); err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: "identity", run: h.id.Run})
	if h.cfg.Debug != "" {
		if err := h.addDebug(); err != nil {
			return err
		}
	}
	h.meta, err = metaclient.New(metaclient.Config{Endpoints: h.cfg.APIs(), TLS: h.id.ClientTLS(), Logger: h.log.With("part", "metaclient")})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: "metaclient", close: func() error { h.meta.Close(); return nil }},
		part{name: "revocations", run: h.hearRevocations}, part{name: "renewal", run: h.renewCertificate})
	for _, role := range []struct {
		name string
		add  func(context.Context) error
	}{{config.RoleMeta, h.addMeta}, {config.RoleData, h.addData}, {config.RoleIngest, h.addIngest}, {config.RoleGateway, h.addGateway}} {
		if h.cfg.Has(role.name) {
			if err := role.add(ctx); err != nil {
				return fmt.Errorf("role %s: %w", role.name, err)
			}
		}
	}
	h.addMemory()
	return h.addWatchdog()
}

// run starts every part and waits for ctx or for the first part that ends; then it
// stops them one after the other, last started first, within the grace period.
func (h *host) run(ctx context.Context) error {
	type ended struct {
		name string
		err  error
	}
	ends := make(chan ended, len(h.parts))
	var running []func()
	for _, p := range h.parts {
		if p.run == nil {
			continue
		}
		pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan struct{})
		running = append(running, func() { cancel(); <-done })
		go func() {
			defer close(done)
			ends <- ended{p.name, p.run(pctx)}
		}()
	}
	var cause error
	select {
	case <-ctx.Done():
		h.tell(daemon.SdNotifyStopping)
		h.log.Info("host stops", "grace", h.cfg.Grace)
	case e := <-ends:
		cause = fmt.Errorf("%s ended: %w", e.name, orUnexpected(e.err))
		h.log.Error("host stops: a part ended", "part", e.name, "err", e.err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for _, stop := range slices.Backward(running) {
			stop()
		}
	}()
	grace := time.NewTimer(h.cfg.Grace)
	defer grace.Stop()
	select {
	case <-stopped:
	case <-grace.C:
		// What is acknowledged is durable, so ending here loses nothing but politeness.
		h.log.Error("grace period is over, ending with requests in flight")
		os.Exit(1)
	}
	close(ends)
	for e := range ends {
		if e.err != nil && !errors.Is(e.err, context.Canceled) {
			cause = errors.Join(cause, fmt.Errorf("%s: %w", e.name, e.err))
		}
	}
	return cause
}

var errUnexpected = errors.New("without being asked to")

func orUnexpected(err error) error {
	if err == nil {
		return errUnexpected
	}
	return err
}

// closeAll releases what was opened, last first.
func (h *host) closeAll() error {
	var errs []error
	for _, p := range slices.Backward(h.parts) {
		if p.close == nil {
			continue
		}
		if err := p.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", p.name, err))
		}
	}
	h.parts = nil
	return errors.Join(errs...)
}

// addDebug serves profiles on the loopback address that the configuration names.
func (h *host) addDebug() error {
	ln, err := net.Listen("tcp", h.cfg.Debug)
	if err != nil {
		return fmt.Errorf("listen for profiles: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	h.parts = append(h.parts, part{
		name: "debug",
		run: func(ctx context.Context) error {
			stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // Serve says that it was closed
			defer stop()
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		close: srv.Close,
	})
	return nil
}
