package uploader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/access"
	"github.com/vstack/vstack/uploader/early"
	"github.com/vstack/vstack/uploader/resumable"
	"github.com/vstack/vstack/uploader/send"
	"github.com/vstack/vstack/uploader/spool"
	"github.com/vstack/vstack/uploader/strangers"
	"github.com/vstack/vstack/uploader/toolcheck"
	"github.com/vstack/vstack/uploader/window"
)

// Bounds of the HTTP server. Bodies have their own, see guard.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	closeGrace    = 3 * time.Second
	maxConns      = 4096
	maxRequests   = 1024
	maxDone       = 256 // ended jobs that are remembered
	maxProbes     = 2   // ffprobe processes at once
)

// Server takes uploads and works on their jobs.
type Server struct {
	cfg     Config
	log     *slog.Logger
	spool   *spool.Spool
	metrics *metrics
	echo    *echo.Echo
	http    *http.Server
	ln      net.Listener

	conns     *admission.Conns
	requests  *admission.Budget // in flight
	receiving *admission.Budget // bodies
	probing   chan struct{}
	turns     chan struct{} // a token a running job
	sending   send.Config   // of every attempt
	tools     *toolcheck.Check
	tus       *resumable.Handler
	bodies    bodies
	early     *early.Cuts[*job]
	gate      *access.Gate
	strangers strangers.Filter
	cut       string // what cuts here, see progress.Record.Cut

	ctx    context.Context // ends all jobs
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // of job goroutines

	handlers  sync.WaitGroup
	freeSpool sync.Once

	mu     sync.Mutex
	jobs   map[vstack.UploadID]*job // those that have not ended
	done   []ended                  // oldest first
	closed bool
	once   sync.Once
}

// Open takes the spool, listens, and continues the jobs of the process before. Requests
// are answered once Run runs.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tools := cfg.tools()
	version, err := tools.Check(ctx)
	if err != nil {
		return nil, fmt.Errorf("open uploader: %w", err)
	}
	sp, err := spool.Open(cfg.Dir, cfg.Reserve, cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("open uploader: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, spool: sp, jobs: map[vstack.UploadID]*job{},
		conns:     admission.NewConns(maxConns, maxConns/8),
		requests:  admission.NewBudget("requests in flight", maxRequests),
		receiving: admission.NewBudget("bodies being received", int64(cfg.MaxReceiving)),
		probing:   make(chan struct{}, maxProbes),
		gate:      access.New(cfg.Open, cfg.Catalog),
		turns:     make(chan struct{}, cfg.MaxJobs),
		cut:       fmt.Sprintf("%d, %s", cutVersion, version),
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.tools = toolcheck.New(s.ctx, tools)
	s.early = early.New(s.ctx, early.Config[*job]{Places: cfg.MaxJobs, Least: cfg.EarlyFrom, Vault: sp.Vault(), Run: s.cutArriving})
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("open uploader: %w", err), s.Close())
	}
	s.log.Info("uploader opened", "addr", s.ln.Addr().String(), "dir", cfg.Dir, "ffmpeg", version, "jobs", s.load())
	return s, nil
}

func (s *Server) start() (err error) {
	if s.metrics, err = newMetrics(s.cfg.Registry); err != nil {
		return err
	}
	sent, err := send.NewMetrics(s.cfg.Registry)
	if err != nil {
		return err
	}
	s.sending = send.Config{Chunks: s.cfg.Chunks, Timeout: s.cfg.CommitTimeout, Window: window.New(int64(s.cfg.InFlight) * vstack.ChunkSize), Metrics: sent}
	open, err := s.recall()
	if err != nil {
		return err
	}
	abandoned, err := s.spool.Abandoned()
	if err != nil {
		return err
	}
	if s.ln, err = s.cfg.Network.Listen(context.Background(), "tcp", s.cfg.Addr); err != nil {
		return err
	}
	s.ln = s.conns.Listen(s.ln)
	if s.tus, err = resumable.New(resumable.Config{
		Spool: s.spool, MaxSize: s.cfg.MaxUpload, MinRate: s.cfg.MinRate, Window: s.cfg.RateWindow, Keep: s.cfg.KeepParts,
		MaxParts: s.cfg.MaxParts, Gate: s.gate, Admit: s.admit, Judge: s.judge, Accept: s.accept,
		Arrives: s.arrives, Gone: s.gone, Find: s.byPart, Counted: s.counted, Logger: s.log,
	}); err != nil {
		return err
	}
	s.echo = s.routes()
	s.http = &http.Server{
		Handler: s.cfg.Tracer.Handler(s.log, s.cfg.Identity.Guard(s.awaited(s.echo), wire.Refuse)), TLSConfig: s.cfg.Identity.ServerTLS(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	for _, j := range open {
		if err := s.startJob(j, true); err != nil {
			return err
		}
	}
	s.wg.Go(func() { s.tus.Run(s.ctx) })
	s.wg.Go(func() { s.clear(abandoned) })
	return nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Run serves until ctx ends or Close is called.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // Close is called again below and gives its error
	defer stop()
	err := s.http.ServeTLS(s.ln, "", "")
	if err = errors.Join(ignoreClosed(err), s.Close()); err != nil {
		return fmt.Errorf("run uploader: %w", err)
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close stops listening, interrupts the jobs (a later Open continues them), and waits
// for all of it. Idempotent.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.cancel(errStopping)
		if s.http != nil {
			ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
			if e := s.http.Shutdown(ctx); e != nil {
				err = ignoreClosed(s.http.Close())
			}
			cancel()
		}
		if s.ln != nil {
			_ = s.ln.Close() // Shutdown has closed it, if it was ever served
		}
	})
	s.wg.Wait()
	s.handlers.Wait()
	s.early.Wait()
	s.tools.Wait()
	s.freeSpool.Do(func() {
		if s.spool != nil {
			err = errors.Join(err, s.spool.Close())
		}
	})
	return err
}

// awaited lets Close wait for the handlers: one whose connection was given up may still be
// at work on the spool, which then is another process's to take.
func (s *Server) awaited(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.handlers.Add(1)
		}
		s.mu.Unlock()
		if closed {
			wire.WriteError(w, fmt.Errorf("%w: the uploader stops", vstack.ErrUnavailable))
			return
		}
		defer s.handlers.Done()
		if err := wire.SameOrigin(r); err != nil {
			wire.WriteError(w, err)
			return
		}
		if r.URL.Path != "/livez" { // which says that the process lives, however much it has to do
			key := admission.KeyOf(r)
			if err := s.requests.TryAcquire(key, 1); err != nil {
				wire.WriteError(w, err)
				return
			}
			defer s.requests.Release(key, 1)
		}
		w = admission.Paced(w)
		h.ServeHTTP(w, r)
	})
}
