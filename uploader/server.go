package uploader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Bounds of the HTTP server. Bodies have their own, see guard.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	closeGrace    = 3 * time.Second
	maxDone       = 256 // ended jobs that are remembered
	maxProbes     = 2   // ffprobe processes at once
)

// Server takes uploads and works on their jobs.
type Server struct {
	cfg     Config
	log     *slog.Logger
	spool   *spool
	metrics *metrics
	echo    *echo.Echo
	http    *http.Server
	ln      net.Listener

	receiving  chan struct{} // a token a body
	probing    chan struct{}
	turns      chan struct{} // a token a running job
	window     *semaphore.Weighted
	windowSize int64
	tools      *toolCheck

	ctx    context.Context // ends all jobs
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // of job goroutines

	mu     sync.Mutex
	jobs   map[vstack.UploadID]*job // those that have not ended
	done   []wire.Job               // oldest first
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
	sp, err := openSpool(cfg.Dir, cfg.Reserve)
	if err != nil {
		return nil, fmt.Errorf("open uploader: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger.With("role", "uploader"), spool: sp, jobs: map[vstack.UploadID]*job{},
		receiving: make(chan struct{}, cfg.MaxReceiving), probing: make(chan struct{}, maxProbes),
		turns:      make(chan struct{}, cfg.MaxJobs),
		tools:      newToolCheck(tools),
		windowSize: int64(cfg.InFlight) * vstack.ChunkSize,
	}
	s.window = semaphore.NewWeighted(s.windowSize)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open uploader: %w", err), s.Close())
	}
	s.log.Info("uploader opened", "addr", s.ln.Addr().String(), "dir", cfg.Dir, "ffmpeg", version, "jobs", s.load())
	return s, nil
}

func (s *Server) open() (err error) {
	if s.metrics, err = newMetrics(s.cfg.Registry); err != nil {
		return err
	}
	open, done, err := s.spool.load()
	if err != nil {
		return err
	}
	if s.ln, err = net.Listen("tcp", s.cfg.Addr); err != nil {
		return err
	}
	s.echo = s.routes()
	s.http = &http.Server{
		Handler: s.echo, TLSConfig: s.cfg.Identity.ServerTLS(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	for _, rec := range done {
		s.remember(rec.Job)
	}
	for _, rec := range open {
		rec.Job.State = wire.JobInterrupted
		s.startJob(newJob(rec), true)
	}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spool != nil {
		err = errors.Join(err, s.spool.close())
		s.spool = nil
	}
	return err
}

// startJob gives a job its goroutine. False when the server is full or closed.
func (s *Server) startJob(j *job, resume bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.jobs[j.id] != nil || len(s.jobs) >= s.cfg.MaxQueued && !resume {
		return false
	}
	j.ctx, j.cancel = context.WithCancelCause(s.ctx)
	s.jobs[j.id] = j
	s.wg.Go(func() {
		defer j.cancel(nil)
		s.work(j.ctx, j, resume)
	})
	return true
}

// endJob moves a job from the living to the remembered.
func (s *Server) endJob(j *job, final wire.Job) {
	s.remember(final)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, j.id)
}

func (s *Server) remember(final wire.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = slices.DeleteFunc(s.done, func(d wire.Job) bool { return d.Upload == final.Upload })
	s.done = append(s.done, final)
	for len(s.done) > maxDone {
		if err := s.spool.forget(s.done[0].Upload); err != nil {
			s.log.Warn("forget an ended job", "upload", s.done[0].Upload, "err", err)
		}
		s.done = s.done[1:]
	}
}

// find returns a living job, or the last state of an ended one.
func (s *Server) find(id vstack.UploadID) (*job, wire.Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[id]; j != nil {
		return j, wire.Job{}, true
	}
	for _, d := range slices.Backward(s.done) {
		if d.Upload == id {
			return nil, d, true
		}
	}
	return nil, wire.Job{}, false
}

// list returns all jobs, newest first.
func (s *Server) list() []wire.Job {
	s.mu.Lock()
	living := make([]*job, 0, len(s.jobs))
	for _, j := range s.jobs {
		living = append(living, j)
	}
	out := slices.Clone(s.done)
	s.mu.Unlock()
	for _, j := range living {
		snap, _ := j.snapshot()
		out = append(out, snap)
	}
	slices.SortStableFunc(out, func(a, b wire.Job) int { return b.Started.Compare(a.Started) })
	return out
}

// load counts living jobs, for the queue's bound.
func (s *Server) load() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}
