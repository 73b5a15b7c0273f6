package vstack

import "fmt"

// RedundancyPolicy is how the cluster decides which videos lie as copies and which as
// fragments. It is one row of the catalog; a cluster without it has DefaultRedundancy. Times
// are in seconds.
type RedundancyPolicy struct {
	// Auto lets views decide about videos whose own policy is auto. Without it these stay in
	// the class that they are in.
	Auto bool `json:"auto"`
	// WarmAbove and CoolBelow are what a video's popularity must rise above, or fall below,
	// for a change of class: views that decay by half each HalfLife. Between the two nothing
	// changes.
	WarmAbove int64 `json:"warm_above"`
	CoolBelow int64 `json:"cool_below"`
	HalfLife  int64 `json:"half_life"`
	// A video cools MinAge after its publish, and Dwell after it was hot again, at the
	// earliest. Warming waits for neither.
	MinAge int64 `json:"min_age"`
	Dwell  int64 `json:"dwell"`
	// BytesADay bounds the bytes of videos that cool in 24 hours; 0 for no bound. Warming
	// counts, and waits for nothing.
	BytesADay int64 `json:"bytes_a_day"`
	// HostsCanFail is the least number of hosts that every group of a cold video must bear the
	// loss of.
	HostsCanFail int `json:"min_hosts_can_fail"`
	// Layout is for videos that were not given one.
	Layout Layout `json:"layout"`
}

const day = 24 * 60 * 60

// DefaultRedundancy is the policy of a cluster that was given none.
var DefaultRedundancy = RedundancyPolicy{
	Auto: true, WarmAbove: 1000, CoolBelow: 500, HalfLife: 7 * day, MinAge: day, Dwell: day,
	BytesADay: 1 << 40, HostsCanFail: 1, Layout: DefaultLayout,
}

const (
	// MinHalfLife is the least half-life, in seconds: eight of the steps in which views decay.
	MinHalfLife = 8
	// maxPolicyTime bounds times, in seconds.
	maxPolicyTime = 10 * 365 * day
	// maxPolicyViews bounds thresholds.
	maxPolicyViews = 1 << 40
)

// Check reports as ErrInvalid what is no policy.
func (p RedundancyPolicy) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("policy of redundancy: %w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
	switch {
	case p.CoolBelow < 0 || p.WarmAbove < p.CoolBelow || p.WarmAbove > maxPolicyViews:
		return bad("warm above %d, cool below %d: want 0 ≤ cool ≤ warm ≤ %d", p.WarmAbove, p.CoolBelow, int64(maxPolicyViews))
	case p.HalfLife < MinHalfLife || p.HalfLife > maxPolicyTime:
		return bad("half-life of %d s: want %d to %d", p.HalfLife, MinHalfLife, maxPolicyTime)
	case p.MinAge < 0 || p.MinAge > maxPolicyTime || p.Dwell < 0 || p.Dwell > maxPolicyTime:
		return bad("minimum age %d s, dwell %d s: want 0 to %d", p.MinAge, p.Dwell, maxPolicyTime)
	case p.BytesADay < 0:
		return bad("%d bytes a day", p.BytesADay)
	case p.HostsCanFail < 0 || p.HostsCanFail > MaxFragments:
		return bad("%d hosts that may fail: want 0 to %d", p.HostsCanFail, MaxFragments)
	}
	return p.Layout.Check()
}
