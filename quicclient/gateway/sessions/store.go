package sessions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxID and maxText bound names, bytes; maxSources bounds the stores of a report.
	maxID      = 64
	maxText    = 64
	maxSources = 64
	// pastLength is how many points of its past a session has, pastStep apart.
	pastLength = 150
	pastStep   = 2 * time.Second
)

// Config configures a Store. Zero values take their defaults.
type Config struct {
	// MaxSessions bounds the sessions that are kept. Default 2,048.
	MaxSessions int
	// Quiet is after how long of silence a session counts as gone. Default 15 s.
	Quiet time.Duration
}

// Report is what a player says of one playback, from its start.
type Report struct {
	Video   vstack.VideoID `json:"video"`
	Player  string         `json:"player"`            // "vstack video play", "hls.js 1.6"
	Policy  string         `json:"policy,omitempty"`  // by which it chooses its stores
	State   string         `json:"state"`             // starting, playing, stalled, paused, ended, failed
	Picture string         `json:"picture,omitempty"` // "1920×1080"

	Position  float64 `json:"position"` // seconds of media
	Duration  float64 `json:"duration"` // seconds of media
	Buffer    float64 `json:"buffer"`   // seconds ahead of the position
	Startup   float64 `json:"startup"`  // seconds to the first picture; 0: not yet
	Stalls    int     `json:"stalls"`   // after the start
	StallTime float64 `json:"stall_time"`
	Rate      float64 `json:"rate"` // bits a second that came lately
	Bytes     int64   `json:"bytes"`
	Chunks    int     `json:"chunks"`
	Retries   int     `json:"retries"`
	Hedges    int     `json:"hedges"`
	Dropped   int     `json:"dropped"` // frames
	// Sources are the stores that it reads from.
	Sources []Source `json:"sources,omitempty"`
}

// Source is a store as a player sees it.
type Source struct {
	Store  vstack.StoreID `json:"store"`
	Bytes  int64          `json:"bytes"`
	Chunks int            `json:"chunks"`
	// Score is how many seconds a chunk of 1 MiB would take from there by what the player
	// has measured, less being better; 0 if it has not measured.
	Score    float64 `json:"score"`
	RTT      float64 `json:"rtt"`       // seconds
	Rate     float64 `json:"rate"`      // bits a second while bytes were owed
	Loss     float64 `json:"loss"`      // of packets, 0 to 1
	InFlight int     `json:"in_flight"` // requests
	Ejected  bool    `json:"ejected"`   // left alone for a while after failures
}

// Session is a playback as it is shown.
type Session struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // smart, page, stock
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
	Playing bool      `json:"playing"`
	Report
	Past []Point `json:"past,omitempty"`
}

// Point is a session at one time.
type Point struct {
	At     float64 `json:"at"` // seconds since it started
	Buffer float64 `json:"buffer"`
	Rate   float64 `json:"rate"`
	Stalls int     `json:"stalls"`
}

// Summary is the newest sessions, and figures of all that play.
type Summary struct {
	Playing int            `json:"playing"`
	Kept    int            `json:"kept"`
	Kinds   map[string]int `json:"kinds"` // of those that play
	Rate    float64        `json:"rate"`  // bits a second, of those that play
	Stalled int            `json:"stalled"`
	Buffer  float64        `json:"buffer"` // seconds, the median of those that play
	Items   []Session      `json:"items"`  // without their past; those that play first
}

// Merge puts the sessions of several gateways together, at most limit of them.
func Merge(all []Summary, limit int) Summary {
	sum := Summary{Kinds: map[string]int{}, Items: []Session{}}
	seen := map[string]int{}
	var buffers []float64
	for _, s := range all {
		sum.Playing, sum.Kept, sum.Rate, sum.Stalled = sum.Playing+s.Playing, sum.Kept+s.Kept, sum.Rate+s.Rate, sum.Stalled+s.Stalled
		for kind, n := range s.Kinds {
			sum.Kinds[kind] += n
		}
		for _, x := range s.Items {
			// A player that went to another gateway is known to both: the newest word counts.
			if i, twice := seen[x.ID]; twice {
				if x.Seen.After(sum.Items[i].Seen) {
					sum.Items[i] = x
				}
				continue
			}
			seen[x.ID] = len(sum.Items)
			sum.Items = append(sum.Items, x)
			if x.Playing {
				buffers = append(buffers, x.Buffer)
			}
		}
	}
	sum.Buffer = median(buffers)
	slices.SortFunc(sum.Items, order)
	sum.Items = sum.Items[:min(len(sum.Items), limit)]
	return sum
}

// order has those first that play, then the newest.
func order(a, b Session) int {
	if a.Playing != b.Playing {
		if a.Playing {
			return -1
		}
		return 1
	}
	return cmp.Or(b.Started.Compare(a.Started), strings.Compare(a.ID, b.ID))
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// Store keeps sessions. It is safe for concurrent use.
type Store struct {
	cfg Config

	mu      sync.Mutex
	all     map[string]*Session
	quality *Quality // nil counts nothing
}

// Count has q count how playbacks fare from now on.
func (s *Store) Count(q *Quality) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quality = q
}

// New makes a Store.
func New(cfg Config) *Store {
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 2048
	}
	if cfg.Quiet == 0 {
		cfg.Quiet = 15 * time.Second
	}
	return &Store{cfg: cfg, all: map[string]*Session{}}
}

// states are what a player may be in.
var states = []string{"starting", "playing", "stalled", "paused", "ended", "failed"}

// check refuses what no player of ours would say.
func (r *Report) check() error {
	switch {
	case !slices.Contains(states, r.State):
		return fmt.Errorf("state: %w: want one of %v", vstack.ErrInvalid, states)
	case len(r.Player) > maxText || len(r.Policy) > maxText || len(r.Picture) > maxText:
		return fmt.Errorf("report: %w: a name of more than %d bytes", vstack.ErrInvalid, maxText)
	case len(r.Sources) > maxSources:
		return fmt.Errorf("report: %w: %d stores, at most %d", vstack.ErrInvalid, len(r.Sources), maxSources)
	}
	figures := []float64{r.Position, r.Duration, r.Buffer, r.Startup, r.StallTime, r.Rate}
	for _, s := range r.Sources {
		figures = append(figures, s.Score, s.RTT, s.Rate, s.Loss, float64(s.Bytes), float64(s.Chunks), float64(s.InFlight))
	}
	for _, v := range figures {
		if !(v >= 0 && v < 1e15) {
			return fmt.Errorf("report: %w: a figure of %v", vstack.ErrInvalid, v)
		}
	}
	if min(r.Stalls, r.Chunks, r.Retries, r.Hedges, r.Dropped, int(min(r.Bytes, 1))) < 0 {
		return fmt.Errorf("report: %w: a negative count", vstack.ErrInvalid)
	}
	return nil
}

// validID says that an id is printable and short.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && strings.IndexFunc(id, func(r rune) bool { return !unicode.IsGraphic(r) || r == '/' }) < 0
}

// Tell takes a player's own report.
func (s *Store) Tell(id string, r Report) error {
	if !validID(id) {
		return fmt.Errorf("session id: %w: want 1 to %d printable bytes", vstack.ErrInvalid, maxID)
	}
	if err := r.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.before(id)
	x := s.session(id, time.Now())
	x.Kind = "page"
	if r.Policy != "" {
		x.Kind = "smart"
	}
	x.Report = r
	s.count(x, before)
	x.note()
	return nil
}

// Heard is what a stock player says beside a request.
type Heard struct {
	ID      string
	Video   vstack.VideoID
	Player  string
	Buffer  time.Duration
	Buffers bool // Buffer is said
	Rate    int64
	Starved bool
	Bytes   int64 // of the answer
}

// Hear takes what a stock player says; one that reports of itself is heard already.
func (s *Store) Hear(h Heard) {
	if !validID(h.ID) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.all[h.ID]; x != nil && x.Kind != "stock" {
		return
	}
	before := s.before(h.ID)
	x := s.session(h.ID, time.Now())
	x.Kind, x.Video, x.State = "stock", h.Video, "playing"
	x.Player = h.Player[:min(len(h.Player), maxText)]
	x.Player = strings.ToValidUTF8(x.Player, "")
	if h.Buffers {
		x.Buffer = h.Buffer.Seconds()
	}
	if h.Rate > 0 {
		x.Rate = float64(h.Rate)
	}
	if h.Starved {
		x.Stalls++
		x.State = "stalled"
	}
	x.Bytes += h.Bytes
	x.Chunks++
	s.count(x, before)
	x.note()
}

// before is what a session said so far. Mutex held.
func (s *Store) before(id string) Session {
	if x := s.all[id]; x != nil {
		return *x
	}
	return Session{}
}

// count counts what a session says beyond what it said before. Mutex held.
func (s *Store) count(x *Session, before Session) {
	s.quality.told(x.Kind, before.ID == "", before.Report, x.Report, x.Seen.Sub(before.Seen))
}

// session finds or makes a session; the quietest one gives way. Mutex held.
func (s *Store) session(id string, now time.Time) *Session {
	x := s.all[id]
	if x == nil {
		if len(s.all) >= s.cfg.MaxSessions {
			var oldest *Session
			for _, o := range s.all {
				if oldest == nil || o.Seen.Before(oldest.Seen) {
					oldest = o
				}
			}
			delete(s.all, oldest.ID)
		}
		x = &Session{ID: id, Started: now}
		s.all[id] = x
	}
	x.Seen = now
	return x
}

// note adds a point to the past, at most one a step. Mutex held.
func (x *Session) note() {
	p := Point{At: x.Seen.Sub(x.Started).Seconds(), Buffer: x.Buffer, Rate: x.Rate, Stalls: x.Stalls}
	if n := len(x.Past); n > 0 && p.At-x.Past[n-1].At < pastStep.Seconds() {
		return
	}
	if len(x.Past) == pastLength {
		x.Past = slices.Delete(x.Past, 0, 1)
	}
	x.Past = append(x.Past, p)
}

// playing says whether a session goes on. Mutex held.
func (s *Store) playing(x *Session, now time.Time) bool {
	return x.State != "ended" && x.State != "failed" && now.Sub(x.Seen) < s.cfg.Quiet
}

// Playing counts the sessions that go on.
func (s *Store) Playing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, n := time.Now(), 0
	for _, x := range s.all {
		if s.playing(x, now) {
			n++
		}
	}
	return n
}

// Get returns one session with its past.
func (s *Store) Get(id string) (Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.all[id]
	if x == nil {
		return Session{}, fmt.Errorf("session: %w: it was never here, or gave way to newer ones", vstack.ErrNotFound)
	}
	out := *x
	out.Playing = s.playing(x, time.Now())
	out.Past = slices.Clone(x.Past)
	return out, nil
}

// Summary returns at most limit sessions, those that play first, then the newest.
func (s *Store) Summary(limit int) Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	sum := Summary{Kept: len(s.all), Kinds: map[string]int{}, Items: make([]Session, 0, len(s.all))}
	var buffers []float64
	for _, x := range s.all {
		out := *x
		out.Past = nil
		if out.Playing = s.playing(x, now); out.Playing {
			sum.Playing++
			sum.Kinds[x.Kind]++
			sum.Rate += x.Rate
			buffers = append(buffers, x.Buffer)
			if x.State == "stalled" {
				sum.Stalled++
			}
		}
		sum.Items = append(sum.Items, out)
	}
	sum.Buffer = median(buffers)
	slices.SortFunc(sum.Items, order)
	sum.Items = sum.Items[:min(len(sum.Items), limit)]
	return sum
}
