package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Policy decides which store delivers what. The runtime calls it from one goroutine at a
// time; a Policy may keep estimates between calls, but its decisions depend on nothing
// else than the Views it was shown.
type Policy interface {
	// Name is what ByName finds it by.
	Name() string
	// Decide looks at everything unfinished and says what to do now, and when to ask again
	// if nothing happens before. The runtime asks again at once after every Decision with
	// actions.
	Decide(View) Decision
}

// View is the situation that a decision is about. Times are on the runtime's monotonic
// clock. Slices belong to the runtime and are valid until Decide returns.
type View struct {
	Now    time.Duration
	Stores []Signals // every holder of a piece, ordered by id
	Pieces []Piece   // earliest due first; of one chunk in the order of their bytes
	Spent  Spent
}

// Spent is what reading has cost since the client started, in bytes.
type Spent struct {
	Useful int64 // arrived for the first time
	Extra  int64 // arrived again, or for nobody
}

// Piece is a run of bytes of one chunk that are still to come.
type Piece struct {
	ID       uint64 // counts up in order of arrival
	Chunk    uint64 // the same for all pieces of a chunk that is being read
	From, To int64  // the bytes, in the chunk, or in a share when Need is above 1
	Size     int64  // of the chunk
	Arrived  time.Duration
	Due      time.Duration // when the fragment that From lies in is needed; Arrived if it is waited for already
	Fragment int64         // where in the chunk that fragment ends, at a leaf's border
	Grain    int64         // a cut at a multiple of it keeps leaves whole; 1 where there are none
	// Whole says that one store has to bring all of it in one answer.
	Whole bool
	// Need is how many holders have to bring their share in full: 1 for copies, which are
	// all the same, k for a row of an erasure code. Done of them have.
	Need, Done int
	// Holders are indexes of View.Stores: those that may have it and have not failed, in
	// placement order. A store of a running attempt stays among them.
	Holders []int
	Running []Attempt
}

// Left is how many bytes are to come.
func (p *Piece) Left() int64 { return p.To - p.From }

// Attempt is a request that has not ended.
type Attempt struct {
	Store    int   // index of View.Stores
	At, To   int64 // the next byte that it will bring, and the one behind its last
	Before   int64 // bytes that the store will probably send before these
	Started  time.Duration
	Progress time.Duration // when its last byte came; Started if none did
	Answered bool          // response headers are here
}

// Left is how many bytes it owes.
func (a Attempt) Left() int64 { return a.To - a.At }

// Tried reports whether a running attempt of the piece is at a store.
func (p *Piece) Tried(store int) bool {
	return slices.ContainsFunc(p.Running, func(a Attempt) bool { return a.Store == store })
}

// Kind says what an Action does.
type Kind uint8

const (
	// Start asks Store for Length bytes of Piece from From. Of a piece that nobody is
	// asked for, the rest stays a piece of its own; beside running attempts it asks for
	// what is left, up to the piece's end.
	Start Kind = iota + 1
	// Take asks Store for the piece's bytes from From on, which its attempts leave off.
	Take
	// Cancel ends the attempt of Piece at Store.
	Cancel
	// Eject leaves Store alone until it gives a sign of life, or for a while.
	Eject
)

// Action is one thing to do.
type Action struct {
	Kind   Kind
	Piece  uint64
	Store  int // index of View.Stores
	From   int64
	Length int64
	// Urgency is the request's RFC 9218 urgency, 0 (first) to 7.
	Urgency uint8
}

// Urgencies of requests.
const (
	UrgencyLate    = 1 // playback waits for it, or will soon
	UrgencyDefault = 3
	UrgencyHedge   = 6
)

// Decision is what to do now, and when to ask again at the latest; a Wake of zero asks
// only when something happens.
type Decision struct {
	Actions []Action
	Wake    time.Duration
}

// wakeBy moves Wake forward to at.
func (d *Decision) wakeBy(at time.Duration) {
	if d.Wake == 0 || at < d.Wake {
		d.Wake = at
	}
}

// start asks a store for the whole of a piece, or for what is left of it beside others.
func (d *Decision) start(p *Piece, store int, urgency uint8) {
	d.Actions = append(d.Actions, Action{Kind: Start, Piece: p.ID, Store: store, From: p.From, Length: p.Left(), Urgency: urgency})
}

// makers lists the policies, the default one first.
var makers = []struct {
	name string
	make func() Policy
}{
	{SmartName, func() Policy { return NewSmart(newSeed()) }},
	{"score", func() Policy { return NewScore() }},
	{"round-robin", func() Policy { return NewRoundRobin() }},
	{"random", func() Policy { return NewRandom(newSeed()) }},
	{"least-rtt", func() Policy { return NewLeastRTT() }},
	{"ewma", func() Policy { return NewEWMA() }},
	{"p2c", func() Policy { return NewP2C(newSeed()) }},
	{"c3", func() Policy { return NewC3() }},
	{"prequal", func() Policy { return NewPrequal() }},
	{"rr-hedge", func() Policy { return NewRRHedge() }},
	{"stripe", func() Policy { return NewStripe() }},
	{SimpleName, func() Policy { return NewSimple() }},
}

// Names lists the policies that ByName knows, the default one first.
func Names() []string {
	var names []string
	for _, m := range makers {
		names = append(names, m.name)
	}
	return names
}

// ByName makes a policy; "" is the default one.
func ByName(name string) (Policy, error) {
	for _, m := range makers {
		if name == m.name || name == "" {
			return m.make(), nil
		}
	}
	return nil, fmt.Errorf("policy %q: %w: want one of %s", name, vstack.ErrInvalid, strings.Join(Names(), ", "))
}
