package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Size is a number of bytes that reads and prints with a binary unit.
type Size int64

// The units of Size, largest first.
var units = []struct {
	name  string
	bytes Size
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// ParseSize reads "10GiB", "1.5GiB", "512K", "4g" or a plain number of bytes.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimRight(strings.TrimSpace(s), "bBiIkKmMgGtT ")
	unit := strings.ToUpper(strings.TrimSpace(strings.TrimSpace(s)[len(digits):]))
	factor := Size(0)
	switch strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I") {
	case "":
		factor = 1
	case "K":
		factor = 1 << 10
	case "M":
		factor = 1 << 20
	case "G":
		factor = 1 << 30
	case "T":
		factor = 1 << 40
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || factor == 0 || !(n >= 0) || n*float64(factor) > math.MaxInt64/2 {
		return 0, fmt.Errorf("size %q: %w: want a number and B, KiB, MiB, GiB or TiB", s, vstack.ErrInvalid)
	}
	return Size(n * float64(factor)), nil
}

// String is exact: the largest unit that divides s.
func (s Size) String() string {
	for _, u := range units {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSize(string(b))
	return err
}

// Set and Type make *Size a flag value.
func (s *Size) Set(text string) error { return s.UnmarshalText([]byte(text)) }
func (s *Size) Type() string          { return "size" }
