package standin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Standing is what a stand-in says that its member is.
const Standing = "damaged"

// remind is how often the log says again that the member does not run.
const remind = 10 * time.Minute

// Config is what a Standin needs; all of it is required but Network.
type Config struct {
	ID        string // of the member
	Raft, API string // where it would serve
	Dir       string // what it keeps
	Why       error  // what is wrong with that
	Identity  *identity.Identity
	Version   wire.Version
	Logger    *slog.Logger
	// Members is how many the cluster had when the host was configured.
	Members int
	// Network opens the listener. Default: the operating system's.
	Network network.Network
}

// Standin serves in the place of a member.
type Standin struct {
	cfg  Config
	http *http.Server
	ln   net.Listener
}

// Open claims the member's address; Run serves it.
func Open(ctx context.Context, cfg Config) (*Standin, error) {
	s := &Standin{cfg: cfg}
	var err error
	if s.ln, err = network.Or(cfg.Network, network.OS{}).Listen(ctx, "tcp", cfg.API); err != nil {
		return nil, fmt.Errorf("listen in the place of the metadata member: %w", err)
	}
	s.http = &http.Server{Handler: s.handler(), TLSConfig: cfg.Identity.ServerTLS("h2", "http/1.1"), ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug)}
	return s, nil
}

// Detail says what is wrong, and what mends it.
func (s *Standin) Detail() string {
	gone := ""
	if errors.Is(s.cfg.Why, vstack.ErrKeyMissing) {
		gone = " Nothing of it is lost: bring the key back and restart the host. If the key is gone for good:"
	}
	if s.cfg.Members < 2 {
		return fmt.Sprintf("%v. It does not run; the other roles of this host do.%s It is the only member: move %s aside, restart the host with  --roles meta  alone, "+
			"and restore a backup: vstack raft snapshot restore FILE --yes", s.cfg.Why, gone, s.cfg.Dir)
	}
	return fmt.Sprintf("%v. It does not run; the other roles of this host do.%s The other members have all of it: move %s aside and restart the host, then: "+
		"vstack raft remove %s --yes, then vstack raft add %s --raft %s --api %s", s.cfg.Why, gone, s.cfg.Dir, s.cfg.ID, s.cfg.ID, s.cfg.Raft, s.cfg.API)
}

// Run serves until ctx ends.
func (s *Standin) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.ServeTLS(s.ln, "", "") }()
	tick := time.NewTicker(remind)
	defer tick.Stop()
	for {
		s.cfg.Logger.Error("this host runs without its metadata member", "why", s.Detail())
		select {
		case <-tick.C:
		case err := <-served:
			return fmt.Errorf("serve in the place of the metadata member: %w", err)
		case <-ctx.Done():
			err := s.http.Close()
			<-served
			return err
		}
	}
}

// Close frees the address.
func (s *Standin) Close() error { return errors.Join(s.http.Close(), ignoreClosed(s.ln.Close())) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Standin) handler() http.Handler {
	refusal := fmt.Errorf("member %s: %w: %s", s.cfg.ID, vstack.ErrUnavailable, s.Detail())
	common := ops.Handler(ops.Config{Version: s.cfg.Version,
		Ready: func(context.Context) []ops.Check { return []ops.Check{{Name: "raft", Err: refusal}} }})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { wire.WriteError(w, refusal) })
	for _, path := range []string{"/livez", "/readyz", "/version"} { // not /metrics: who watches it takes it for down
		mux.Handle(path, common)
	}
	// The other members ask this way, and tell what they hear.
	mux.HandleFunc("GET /v1/raft/self", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(wire.RaftPeer{ID: s.cfg.ID, Raft: s.cfg.Raft, API: s.cfg.API, Standing: Standing, Detail: s.Detail()}) // the peer may be gone
	})
	return mux
}
