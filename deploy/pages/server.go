package pages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// DefaultAddr is where the console listens.
const DefaultAddr = "127.0.0.1:8890"

// Config configures a Server.
type Config struct {
	// Addr is a loopback HOST:PORT. Default DefaultAddr.
	Addr string
	// Pages answers what the gateway answers: pages, films, /v1 reads. Required.
	Pages http.Handler
	// Stop ends Pages' streams of events, which would outlast a shutdown; may be nil.
	Stop func()
	// Uploaders are the HOST:PORTs of the role ingest; none closes uploads.
	Uploaders []string
	// Transport reaches them under the bundle's certificate. Required with Uploaders.
	Transport http.RoundTripper
	// Catalog and Roles are what the pages may change; nil closes that.
	Catalog Catalog
	Roles   Roles
	// Play plays a film for a comparison; nil closes that.
	Play Players
	// Links are what a comparison may go over in place of those that there are, between stores of
	// Placement, which they require; nil closes that.
	Links     Links
	Placement func(ctx context.Context) (*vstack.PlacementMap, error)
	// Drills break the cluster on purpose; nil closes that.
	Drills Drills
	// Voters answer for the votes of an upload that runs; nil closes that.
	Voters Voters
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Validate checks the configuration and fills in the defaults.
func (c *Config) Validate() error {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil || !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("console at %q: %w: it speaks no TLS, so it wants a loopback address", c.Addr, vstack.ErrInvalid)
	}
	if c.Pages == nil || len(c.Uploaders) > 0 && c.Transport == nil || c.Links != nil && c.Placement == nil {
		return fmt.Errorf("console: %w: no pages, or no way to reach uploaders or stores", vstack.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Server is one console.
type Server struct {
	cfg   Config
	token string
	addr  string
	names map[string]bool // values of Host that mean this listener
	ln    net.Listener
	http  *http.Server

	compare *comparer
	drills  *driller
	votes   *looker
	heard   *listener
}

// Open binds the listener; Run serves.
func Open(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("open console: %w", err)
	}
	s := &Server{cfg: cfg, token: newToken(), addr: ln.Addr().String(), ln: ln, compare: newComparer(cfg.Play, &linker{cfg.Links, cfg.Placement}), drills: newDriller(cfg.Drills)}
	s.heard = newListener(cfg.Voters)
	s.votes = &looker{voters: cfg.Voters, jobs: func(ctx context.Context) []wire.Job {
		list, _ := s.allJobs(ctx) // no uploader that answers is no upload that runs
		return list.Items
	}}
	_, port, _ := net.SplitHostPort(s.addr)
	s.names = map[string]bool{s.addr: true, "localhost:" + port: true}
	s.http = &http.Server{
		// The guard judges by paths: a token goes out of them first.
		Handler: watch.Carry(s.guard(s.routes())), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.cfg.Pages)
	mux.HandleFunc("POST /session", s.postSession)
	if s.cfg.Catalog != nil {
		mux.HandleFunc("GET /v1/actions", s.getActions)
		mux.HandleFunc("DELETE /v1/videos/{video}", s.deleteFilm)
		mux.HandleFunc("PUT /v1/videos/{video}/class", s.putClass)
		mux.HandleFunc("POST /v1/stores/{store}/replace", s.replaceStore)
		mux.HandleFunc("POST /v1/raft/transfer", s.transferLeader)
		s.addUpkeep(mux, s.cfg.Catalog)
		s.addDecisions(mux, s.cfg.Catalog)
	}
	if s.cfg.Roles != nil {
		mux.HandleFunc("POST /v1/stores/{store}/scrub", s.scrubStore)
		mux.HandleFunc("DELETE /v1/jobs/{job}", s.cancelJob)
	}
	if s.cfg.Play != nil {
		mux.HandleFunc("GET /v1/compare", s.getCompare)
		mux.HandleFunc("POST /v1/compare", s.postCompare)
		mux.HandleFunc("DELETE /v1/compare", s.deleteCompare)
	}
	if s.cfg.Drills != nil {
		mux.HandleFunc("GET /v1/drills", s.getDrills)
		mux.HandleFunc("POST /v1/drills", s.postDrill)
		mux.HandleFunc("DELETE /v1/drills", s.deleteDrill)
		mux.HandleFunc("GET /v1/drills/report", s.getDrillReport)
	}
	if s.cfg.Voters != nil {
		mux.HandleFunc("GET /v1/paxos/votes", s.getVotes)
		mux.HandleFunc("GET /v1/paxos/messages", s.getMessages)
	}
	if len(s.cfg.Uploaders) > 0 {
		mux.HandleFunc("POST /files", s.createUpload)
		mux.HandleFunc("OPTIONS /files", s.createUpload)
		mux.HandleFunc("/up/{n}/", s.passUpload)
		mux.HandleFunc("GET /v1/jobs", s.getJobs)
	}
	return mux
}

// Addr is HOST:PORT of the listener.
func (s *Server) Addr() string { return s.addr }

// URL is the link to open: its fragment carries the token.
func (s *Server) URL() string { return "http://" + s.addr + "/#token=" + s.token }

// Run serves until ctx ends or Close is called.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // Close is called again below and waits
	defer stop()
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("run console: %w", err)
	}
	return s.Close()
}

// Close lets answers under way finish for a moment. Idempotent.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s.compare.close()
	s.drills.close()
	s.heard.close()
	if s.cfg.Stop != nil {
		s.cfg.Stop()
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	_ = s.ln.Close() // Shutdown has closed it, if it was ever served
	return err
}
