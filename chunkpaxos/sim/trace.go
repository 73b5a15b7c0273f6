package sim

import (
	"fmt"
	"strings"
)

// Trace is one run, step by step.
type Trace struct {
	Name   string `json:"name,omitempty"`
	Title  string `json:"title,omitempty"`
	About  string `json:"about,omitempty"`
	Script Script `json:"script"`
	Nodes  []Node `json:"nodes"`
	Steps  []Step `json:"steps"`
	// Messages are all that were sent, in that order; steps name them by their place here.
	Messages []Message `json:"messages"`
	// Quotes are the rules of docs/chunkpaxos.md that the steps name.
	Quotes map[string]Quote `json:"quotes"`
	// Cut says that the run was ended at a bound.
	Cut bool `json:"cut"`
}

// Node is a process.
type Node struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // uploader, contender, store
}

// Message is one message on its way.
type Message struct {
	From string `json:"from"`
	To   string `json:"to"`
	Verb string `json:"verb"` // PUT, PREPARE, ACCEPT, PROMISE, ACCEPTED, NACK, BYTES
	Text string `json:"text"`
	Sent int    `json:"sent"` // step
	Came int    `json:"came"` // step; -1: it never came
}

// Step is one thing that happened.
type Step struct {
	At   float64 `json:"at"`   // milliseconds
	Kind string  `json:"kind"` // send, lost, arrive, durable, learn, fail, kill, start, fault, timer
	Node string  `json:"node"` // where it happened; empty: in the network
	// Message is the place in Messages of the message that the step is about; -1 for none.
	Message int    `json:"message"`
	Text    string `json:"text"`
	Why     string `json:"why"` // key of Quotes; empty: nothing to explain
	// State is what has changed at a store, as its disk has it.
	State map[string]StoreState `json:"state,omitempty"`
}

// StoreState is a store.
type StoreState struct {
	Up    bool        `json:"up"`
	Slots []SlotState `json:"slots"` // of the script, from 1
}

// SlotState is what a store's disk has of a slot; empty strings for nothing.
type SlotState struct {
	Promised string `json:"promised"` // ballot
	Ballot   string `json:"ballot"`   // of the vote
	Value    string `json:"value"`
}

// Text tells a trace as a story, a line a step.
func (t *Trace) Text() string {
	var b strings.Builder
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "%7.2fms  %s", s.At, s.Text)
		if st, ok := s.State[s.Node]; ok && s.Kind == "durable" {
			for i, slot := range st.Slots {
				if slot != (SlotState{}) {
					fmt.Fprintf(&b, "  [slot %d promised %s voted %s %s]", i+1, or(slot.Promised), or(slot.Ballot), or(slot.Value))
				}
			}
		}
		if s.Why != "" {
			fmt.Fprintf(&b, "  (%s)", s.Why)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
