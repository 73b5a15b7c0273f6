package abuse

import (
	"fmt"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/vstack"
)

// Attackers have one address, or as many as maxKeys.
const maxKeys, maxStrength = 200, 16

// Options are which attacks there are, and how. By default all, once, from one address.
type Options struct {
	Attacks        []string
	Strength, Keys int
}

// Check fills the defaults in and refuses what cannot be.
func (o *Options) Check() error {
	o.Strength, o.Keys = max(o.Strength, 1), max(o.Keys, 1)
	if o.Strength > maxStrength || o.Keys > maxKeys {
		return fmt.Errorf("strangers: %w: strength %d, keys %d; want at most %d and %d", vstack.ErrInvalid, o.Strength, o.Keys, maxStrength, maxKeys)
	}
	_, err := choose(o.Attacks)
	return err
}

// Count is how many attacks there are.
func (o *Options) Count() int {
	list, _ := choose(o.Attacks) // Check tells
	return max(len(list), 1)
}

// Attack is that of repetition n.
func (o *Options) Attack(n int) (Attack, error) {
	list, err := choose(o.Attacks)
	if err != nil {
		return Attack{}, err
	}
	return list[(n-1)%len(list)], nil
}

// Bounds hold for what honest clients see of a host under attack.
func Bounds() []string {
	return []string{report.HostExits + "==0", report.ProbeFailed + "==0", report.ProbeSlow + "==0", report.LivezFailed + "==0",
		report.LeaderChanges + "==0", report.MemoryOver + "==0", report.LogOver + "==0"}
}
