package steer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// askEvery is how often the others are asked, askTimeout how long one may take.
	askEvery   = 5 * time.Second
	askTimeout = 3 * time.Second
	// ttl is how long a player keeps to an order, seconds.
	ttl = 10
	// maxPathways bounds the others.
	maxPathways = 16
)

// name is the form of a pathway's id in both protocols.
var name = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Pathway is another gateway that serves the same films.
type Pathway struct {
	Name string
	Base *url.URL // "https://HOST:PORT"
}

// Config configures a Steer.
type Config struct {
	Self   string // this gateway's name
	Others []Pathway
	// Fit says whether this gateway should get viewers now.
	Fit func(ctx context.Context) bool
	// Client asks the others.
	Client *http.Client
}

// Validate checks names and addresses.
func (c Config) Validate() error {
	seen := map[string]bool{c.Self: true}
	if !name.MatchString(c.Self) || len(c.Others) > maxPathways {
		return fmt.Errorf("pathways: %w: own name %q, %d others of at most %d", vstack.ErrInvalid, c.Self, len(c.Others), maxPathways)
	}
	for _, p := range c.Others {
		if !name.MatchString(p.Name) || seen[p.Name] || p.Base == nil || p.Base.Scheme != "https" || p.Base.Host == "" || strings.Trim(p.Base.Path, "/") != "" {
			return fmt.Errorf("pathway %q: %w: want another name than the others' and https://HOST[:PORT]", p.Name, vstack.ErrInvalid)
		}
		seen[p.Name] = true
	}
	return nil
}

// Steer keeps the order.
type Steer struct {
	cfg    Config
	ctx    context.Context // ends what asks
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	asked  time.Time
	asking bool
	took   []time.Duration // of each other's last answer; negative: it does not answer
}

// New makes a Steer of a valid Config. Close ends it.
func New(cfg Config) *Steer {
	s := &Steer{cfg: cfg, took: make([]time.Duration, len(cfg.Others))}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends what asks, and waits for it.
func (s *Steer) Close() {
	s.cancel()
	s.wg.Wait()
}

// Self is this gateway's pathway, Others are those that stand beside it.
func (s *Steer) Self() string      { return s.cfg.Self }
func (s *Steer) Others() []Pathway { return s.cfg.Others }

// answer is a steering manifest.
type answer struct {
	Version  int      `json:"VERSION"`
	TTL      int      `json:"TTL"`
	Reload   string   `json:"RELOAD-URI"`
	Priority []string `json:"PATHWAY-PRIORITY"`
}

// Manifest is the order now.
func (s *Steer) Manifest(ctx context.Context) ([]byte, error) {
	s.refresh()
	a := answer{Version: 1, TTL: ttl, Reload: "steering", Priority: s.order(s.cfg.Fit(ctx))}
	return json.Marshal(a)
}

// order puts the pathways in turn.
func (s *Steer) order(fit bool) []string {
	s.mu.Lock()
	took := slices.Clone(s.took)
	s.mu.Unlock()
	index := make([]int, len(took))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(a, b int) int {
		switch down := func(i int) bool { return took[i] < 0 }; {
		case down(a) != down(b) && down(a):
			return 1
		case down(a) != down(b):
			return -1
		}
		return int(took[a] - took[b])
	})
	var out []string
	at := 0 // of this gateway
	for _, i := range index {
		out = append(out, s.cfg.Others[i].Name)
		if !fit && took[i] >= 0 {
			at = len(out)
		}
	}
	return slices.Insert(out, at, s.cfg.Self)
}

// refresh asks the others where the last answers are old; nobody waits for that.
func (s *Steer) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking || time.Since(s.asked) < askEvery || s.ctx.Err() != nil || len(s.cfg.Others) == 0 {
		return
	}
	s.asking = true
	s.wg.Go(func() {
		took := make([]time.Duration, len(s.cfg.Others))
		var wg sync.WaitGroup
		for i, p := range s.cfg.Others {
			wg.Go(func() { took[i] = s.ask(p) })
		}
		wg.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.took, s.asked, s.asking = took, time.Now(), false
	})
}

// ask returns how long a gateway took to say that it is ready, negative if it did not.
func (s *Steer) ask(p Pathway) time.Duration {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base.JoinPath("readyz").String(), nil)
	if err != nil {
		return -1
	}
	resp, err := s.cfg.Client.Do(req)
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 64<<10); err != io.EOF || resp.StatusCode != http.StatusOK {
		return -1
	}
	return time.Since(began)
}
