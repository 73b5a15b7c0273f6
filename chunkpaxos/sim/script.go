package sim

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Bounds of a script.
const (
	maxSlots      = 3
	maxContenders = 2
	maxFaults     = 24
	// maxTime bounds the times of a script, milliseconds.
	maxTime = 1000
)

// Kinds of faults.
const (
	// Kill ends a process: what it had not made durable is gone. With For it starts again.
	Kill = "kill"
	// Cut loses every message between Node and With, both ways.
	Cut = "cut"
	// Delay has every message to and from Node take By longer.
	Delay = "delay"
)

// Script is what happens to the processes. Times are in milliseconds from the beginning.
type Script struct {
	// Slots are how many chunks the uploader P1 stores, Every apart.
	Slots int     `json:"slots"`
	Every float64 `json:"every"`
	// Contenders are when other processes, Q1 and Q2, propose chunks of their own for the
	// same slots.
	Contenders []float64 `json:"contenders"`
	Faults     []Fault   `json:"faults"`
}

// Fault is something that breaks at At, for a while or, with For 0, for good.
type Fault struct {
	At   float64 `json:"at"`
	For  float64 `json:"for"`
	Kind string  `json:"kind"`
	Node string  `json:"node"`           // P1, Q1, Q2, A, B, C
	With string  `json:"with,omitempty"` // of a cut: the other end; empty for everybody
	By   float64 `json:"by,omitempty"`   // of a delay
}

// listed is the script with lists that are empty where they are none, as its JSON has them.
func (s Script) listed() Script {
	if s.Contenders == nil {
		s.Contenders = []float64{}
	}
	if s.Faults == nil {
		s.Faults = []Fault{}
	}
	return s
}

// Validate checks a script, which may be a stranger's.
func (s *Script) Validate() error {
	switch {
	case s.Slots < 1 || s.Slots > maxSlots:
		return fmt.Errorf("script: %w: %d slots, want 1 to %d", vstack.ErrInvalid, s.Slots, maxSlots)
	case len(s.Contenders) > maxContenders:
		return fmt.Errorf("script: %w: %d contenders, at most %d", vstack.ErrInvalid, len(s.Contenders), maxContenders)
	case len(s.Faults) > maxFaults:
		return fmt.Errorf("script: %w: %d faults, at most %d", vstack.ErrInvalid, len(s.Faults), maxFaults)
	}
	times := append([]float64{s.Every}, s.Contenders...)
	for _, f := range s.Faults {
		times = append(times, f.At, f.For, f.By)
	}
	for _, t := range times {
		if !(t >= 0 && t <= maxTime) {
			return fmt.Errorf("script: %w: time %v ms, want 0 to %d", vstack.ErrInvalid, t, maxTime)
		}
	}
	nodes := s.nodes()
	for _, f := range s.Faults {
		switch {
		case !slices.Contains([]string{Kill, Cut, Delay}, f.Kind):
			return fmt.Errorf("script: fault %q: %w: want kill, cut or delay", clip(f.Kind), vstack.ErrInvalid)
		case !slices.Contains(nodes, f.Node):
			return fmt.Errorf("script: process %q: %w: want one of %v", clip(f.Node), vstack.ErrInvalid, nodes)
		case f.With != "" && (f.Kind != Cut || !slices.Contains(nodes, f.With) || f.With == f.Node):
			return fmt.Errorf("script: with %q: %w: want another process, for a cut", clip(f.With), vstack.ErrInvalid)
		}
	}
	return nil
}

// nodes are the names of the processes, in the order of the picture.
func (s *Script) nodes() []string {
	out := []string{"P1"}
	for i := range s.Contenders {
		out = append(out, fmt.Sprintf("Q%d", i+1))
	}
	return append(out, "A", "B", "C")
}

func clip(s string) string { return s[:min(len(s), 32)] }

// Scenario is a script with a name and a reason.
type Scenario struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	About  string `json:"about"`
	Script Script `json:"script"`
}

// Scenarios are those that the page offers; each has a golden trace.
func Scenarios() []Scenario {
	out := []Scenario{
		{
			"normal", "Normal: one round trip",
			"An uploader stores a chunk. The message that asks for a vote is the PUT of its bytes: six messages, one fsync a store, and the value is chosen.",
			Script{Slots: 1},
		},
		{
			"node-failure", "Node failure: one store, then two",
			"Store C dies while a chunk is on its way to it: two votes are enough. Then B dies as well: one vote chooses nothing, and the uploader asks on, with higher ballots, until B is back.",
			Script{Slots: 2, Every: 20, Faults: []Fault{{At: 0.5, Kind: Kill, Node: "C"}, {At: 19, For: 55, Kind: Kill, Node: "B"}}},
		},
		{
			"conflict", "Conflicting proposers",
			"The uploader reaches A alone. Another process wants the same slot for a chunk of its own; it finds the vote at A and must propose that value, not its own. Both learn the same.",
			Script{Slots: 1, Contenders: []float64{10}, Faults: []Fault{{At: 0, For: 5, Kind: Cut, Node: "P1", With: "B"}, {At: 0, For: 5, Kind: Cut, Node: "P1", With: "C"}}},
		},
		{
			"duel", "Two contenders without an uploader",
			"The uploader dies before its chunk is anywhere. Two processes prepare at once and refuse each other's ballots, until one of them has paused longer than the other takes.",
			Script{Slots: 1, Contenders: []float64{4, 4.5}, Faults: []Fault{{At: 0, Kind: Cut, Node: "P1"}, {At: 1, Kind: Kill, Node: "P1"}}},
		},
		{
			"lost-answers", "Lost answers",
			"A and B vote and say so, and the uploader hears nothing. “Accepted” is never “chosen” until a majority says it, so it asks again with a higher ballot and finds its own value.",
			Script{Slots: 1, Faults: []Fault{{At: 1.2, For: 3, Kind: Cut, Node: "A", With: "P1"}, {At: 1.2, For: 3, Kind: Cut, Node: "B", With: "P1"}, {At: 0, For: 3, Kind: Cut, Node: "C", With: "P1"}}},
		},
		{
			"slow-store", "A slow store",
			"Messages of C take 30 ms longer. The chunk is chosen by A and B, awaited a little, then left; C's vote comes when nobody waits for it.",
			Script{Slots: 1, Faults: []Fault{{At: 0, Kind: Delay, Node: "C", By: 30}}},
		},
	}
	for i := range out {
		out[i].Script = out[i].Script.listed()
	}
	return out
}

// Find returns a scenario by its name.
func Find(name string) (Scenario, error) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, nil
		}
	}
	return Scenario{}, fmt.Errorf("scenario %q: %w", clip(name), vstack.ErrNotFound)
}
