package shape

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// unit is a suffix and what it multiplies by.
type unit struct {
	suffix string
	times  float64
}

var (
	rates = []unit{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}
	sizes = []unit{{"mib", 1 << 20}, {"kib", 1 << 10}, {"mb", 1e6}, {"kb", 1e3}, {"b", 1}}
)

// ParseRate reads "50Mbit", "2.5mbit/s" or "400kbit" as bits a second.
func ParseRate(s string) (float64, error) {
	v, err := parseUnit(strings.TrimSuffix(strings.ToLower(s), "/s"), rates)
	if err != nil {
		return 0, fmt.Errorf("rate %q: %w: want one like 50Mbit or 400kbit", s, vstack.ErrInvalid)
	}
	return v, nil
}

// ParseShare reads "1%" or "0.01".
func ParseShare(s string) (float64, error) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(digits, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("share %q: %w: want one like 1%% or 0.01", s, vstack.ErrInvalid)
	}
	return v, nil
}

// ParseQueue reads a queue as bytes, "250kB", or as a time at a rate, "100ms".
func ParseQueue(s string, rate float64) (int, error) {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		if rate == 0 {
			return 0, fmt.Errorf("queue %q: %w: a time wants a rate", s, vstack.ErrInvalid)
		}
		return max(1, int(d.Seconds()*rate/8)), nil
	}
	v, err := parseUnit(strings.ToLower(s), sizes)
	if err != nil || v < 1 || v > 1<<40 {
		return 0, fmt.Errorf("queue %q: %w: want bytes like 250kB or a time like 100ms", s, vstack.ErrInvalid)
	}
	return int(v), nil
}

func parseUnit(s string, units []unit) (float64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(strings.TrimSpace(s), u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !(v > 0 && v < 1e15) {
			return 0, vstack.ErrInvalid
		}
		return v * u.times, nil
	}
	return 0, vstack.ErrInvalid
}
