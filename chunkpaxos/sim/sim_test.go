package sim

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

var update = flag.Bool("update", false, "rewrite the golden traces")

// play runs a scenario of the page.
func play(t *testing.T, name string) *Trace {
	t.Helper()
	s, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := Play(s)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestScenariosTellTheirGoldenTrace holds each scenario to its story. -update rewrites it.
func TestScenariosTellTheirGoldenTrace(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			tr := play(t, s.Name)
			file := filepath.Join("testdata", s.Name+".trace")
			if *update {
				if err := os.WriteFile(file, []byte(tr.Text()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := tr.Text(); got != string(want) {
				t.Errorf("the story changed; if that is meant, run with -update.\n--- want\n%s--- got\n%s", want, got)
			}
			if tr.Cut {
				t.Error("the run was cut at a bound")
			}
		})
	}
}

// learned lists what processes learned, in order.
func learned(tr *Trace) (out []string) {
	for _, s := range tr.Steps {
		if s.Kind == "learn" {
			out = append(out, s.Text)
		}
	}
	return out
}

func TestTheFastPathIsSixMessages(t *testing.T) {
	tr := play(t, "normal")
	if len(tr.Messages) != 6 || len(learned(tr)) != 1 {
		t.Errorf("%d messages, learned %q", len(tr.Messages), learned(tr))
	}
}

func TestAContenderTakesTheVoteThatItFinds(t *testing.T) {
	got := strings.Join(learned(play(t, "conflict")), "\n")
	if !strings.Contains(got, "Q1  learns that slot 1 holds u1, not its own v1") || !strings.Contains(got, "P1  learns that its u1 is chosen") {
		t.Error(got)
	}
}

func TestTwoStoresDownChooseNothing(t *testing.T) {
	tr := play(t, "node-failure")
	back := 0.0
	for _, s := range tr.Steps {
		if s.Kind == "start" && s.Node == "B" {
			back = s.At
		}
		if s.Kind == "learn" && strings.Contains(s.Text, "slot 2") && (back == 0 || s.At < back) {
			t.Errorf("%.2f ms: %s, with one store of three", s.At, s.Text)
		}
	}
	if n := len(learned(tr)); n != 2 {
		t.Errorf("%d slots chosen, want 2", n)
	}
}

// TestQuotesAreTheDocuments wants each quote word for word, under its heading.
func TestQuotesAreTheDocuments(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("..", "..", "docs", "chunkpaxos.md"))
	if err != nil {
		t.Fatal(err)
	}
	plain := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	sections := map[string]string{}
	heading := ""
	for _, line := range strings.Split(string(body), "\n") {
		if h := strings.TrimLeft(line, "#"); strings.HasPrefix(line, "#") && strings.HasPrefix(h, " ") {
			heading = strings.TrimSpace(h)
		}
		sections[heading] += line + "\n"
	}
	for key, q := range quotes {
		if !strings.Contains(plain(sections[q.Heading]), plain(q.Text)) {
			t.Errorf("%s: docs/chunkpaxos.md does not say %q under %q", key, q.Text, q.Heading)
		}
	}
	for _, s := range Scenarios() {
		for _, step := range play(t, s.Name).Steps {
			if _, ok := quotes[step.Why]; step.Why != "" && !ok {
				t.Errorf("%s: %s names the rule %q, which is not there", s.Name, step.Text, step.Why)
			}
		}
	}
}

// TestRandomScriptsAgreeAndEnd plays what a person might ask for in the sandbox: a run
// fails where two values are learned for a slot.
func TestRandomScriptsAgreeAndEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	chosen, cut := 0, 0
	for i := range 400 {
		s := Script{Slots: 1 + r.IntN(maxSlots), Every: float64(r.IntN(30))}
		for range r.IntN(maxContenders + 1) {
			s.Contenders = append(s.Contenders, float64(r.IntN(40)))
		}
		for range r.IntN(8) {
			nodes := s.nodes()
			f := Fault{At: float64(r.IntN(600)) / 10, For: float64(r.IntN(80)), Kind: []string{Kill, Cut, Delay}[r.IntN(3)], Node: nodes[r.IntN(len(nodes))]}
			if with := nodes[r.IntN(len(nodes))]; f.Kind == Cut && with != f.Node {
				f.With = with
			}
			if f.Kind == Delay {
				f.By = float64(r.IntN(20))
			}
			s.Faults = append(s.Faults, f)
		}
		tr, err := Run(s)
		if err != nil {
			t.Fatalf("script %d: %v", i, err)
		}
		again, err := Run(s)
		if err != nil || again.Text() != tr.Text() {
			t.Fatalf("script %d tells two stories", i)
		}
		chosen += len(learned(tr))
		if tr.Cut {
			cut++
		}
		checkSteps(t, tr)
	}
	if chosen < 400 || cut > 40 {
		t.Errorf("%d values learned and %d runs cut of 400: they do too little", chosen, cut)
	}
	t.Logf("%d values learned, %d runs cut at a bound", chosen, cut)
}

// checkSteps holds a trace to its own form: time goes on, messages come after they went.
func checkSteps(t *testing.T, tr *Trace) {
	t.Helper()
	at := 0.0
	for i, s := range tr.Steps {
		if s.At < at {
			t.Fatalf("step %d goes back from %v to %v ms", i, at, s.At)
		}
		at = s.At
	}
	for i, m := range tr.Messages {
		if m.Came >= 0 && m.Came <= m.Sent || tr.Steps[m.Sent].Message != i {
			t.Fatalf("message %d: %+v", i, m)
		}
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for name, s := range map[string]Script{
		"no slot":               {},
		"many slots":            {Slots: 9},
		"many contenders":       {Slots: 1, Contenders: make([]float64, 9)},
		"many faults":           {Slots: 1, Faults: make([]Fault, 99)},
		"a fault of no kind":    {Slots: 1, Faults: []Fault{{Kind: "x", Node: "A"}}},
		"a fault of nobody":     {Slots: 1, Faults: []Fault{{Kind: Kill, Node: "Z"}}},
		"a cut from itself":     {Slots: 1, Faults: []Fault{{Kind: Cut, Node: "A", With: "A"}}},
		"a time before":         {Slots: 1, Every: -1},
		"a time after all else": {Slots: 1, Contenders: []float64{1e9}},
	} {
		if _, err := Run(s); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Find("x"); !errors.Is(err, vstack.ErrNotFound) {
		t.Error(fmt.Sprint("no scenario: ", err))
	}
}
