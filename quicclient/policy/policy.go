package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Policy decides which store delivers what. The runtime calls it from one goroutine
// at a time; a Policy may keep estimates between calls, but its decisions depend on
// nothing else than the Views it was shown.
type Policy interface {
	// Name is what PolicyByName finds it by.
	Name() string
	// Split cuts a chunk of size bytes into ranges that together cover it, in order.
	// urgent is set for a chunk that playback waits for.
	Split(size int64, urgent bool) []Range
	// Decide looks at everything unfinished and says what to start and cancel now, and
	// when to ask again if nothing happens before.
	Decide(View) Decision
}

// Range is Length bytes from Offset.
type Range struct{ Offset, Length int64 }

// View is the situation that a decision is about. Times are on the runtime's monotonic
// clock.
type View struct {
	Now    time.Duration
	Stores []Signals // every holder of a piece, ordered by id
	Pieces []Piece   // not delivered yet, earliest deadline first
	Spent  Spent
}

// Spent is what reading has cost since the client started, in bytes.
type Spent struct {
	Useful int64 // delivered and used
	Extra  int64 // received for attempts that did not win
}

// Piece is a range that nobody has delivered yet.
type Piece struct {
	ID       uint64 // counts up in order of arrival
	Chunk    vstack.ChunkID
	Range    Range
	Arrived  time.Duration
	Deadline time.Duration // when playback needs it; Arrived if it waits already
	// Holders may have it and have not failed to deliver it, in placement order. A
	// store of a running attempt stays among them.
	Holders []vstack.StoreID
	Running []Attempt
}

// Attempt is a request that has not ended.
type Attempt struct {
	Store    vstack.StoreID
	Started  time.Duration
	Progress time.Duration // when its last byte came; Started if none did
	Bytes    int64         // received so far
	Answered bool          // response headers are here
}

// Tried reports whether a running attempt of the piece is at store.
func (p Piece) Tried(store vstack.StoreID) bool {
	for _, a := range p.Running {
		if a.Store == store {
			return true
		}
	}
	return false
}

// Kind says what an Action does.
type Kind uint8

const (
	// Start asks Store for Piece; beside a running attempt it is a hedge.
	Start Kind = iota + 1
	// Cancel ends the attempt of Piece at Store.
	Cancel
)

// Action is one thing to do.
type Action struct {
	Kind  Kind
	Piece uint64
	Store vstack.StoreID
	// Urgency is the request's RFC 9218 urgency, 0 (first) to 7; Default is 3.
	Urgency uint8
}

// Urgencies of requests.
const (
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

// Names lists the policies that ByName knows.
func Names() []string { return []string{SimpleName} }

// ByName makes a policy; "" is the default one.
func ByName(name string) (Policy, error) {
	switch name {
	case "", SimpleName:
		return NewSimple(), nil
	}
	return nil, fmt.Errorf("policy %q: %w: want one of %s", name, vstack.ErrInvalid, strings.Join(Names(), ", "))
}
