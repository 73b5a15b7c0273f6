package main

import (
	"os"
	"testing"

	"github.com/vstack/vstack/bench/history"
	"github.com/vstack/vstack/internal/loopback"
)

// TestSlotsAreRegistersUnderFaults is a slice of `vstack bench run slot-histories`: one
// round of faults over two histories.
func TestSlotsAreRegistersUnderFaults(t *testing.T) {
	long(t)
	res, err := history.Run(t.Context(), history.Options{
		Dir: t.TempDir(), Exe: os.Args[0], Args: []string{"bench", "part", "slot-client"}, Env: []string{asVstack + "=1"},
		FirstIP: loopback.Subnet(t) + ".1", Histories: 2, Lanes: 2, Slots: 40, Progress: func(s string) { t.Log(s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d operations, %d conflicts, %d unknown, faults %v", res.Operations, res.Conflicts, res.Unknown, res.Faults)
	if res.Histories != 2 || res.Chosen != 80 || res.Operations < 200 {
		t.Errorf("%d histories of %d operations, %d slots settled", res.Histories, res.Operations, res.Chosen)
	}
	if res.Violating+res.Undecided+res.Lost+res.Wrong != 0 {
		t.Errorf("%d violating, %d undecided, %d chunks lost, %d wrong", res.Violating, res.Undecided, res.Lost, res.Wrong)
	}
	for _, s := range res.Stories {
		t.Log(s)
	}
}
