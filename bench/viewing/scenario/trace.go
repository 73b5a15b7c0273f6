package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/virtual"
)

// Trace is a measured rate over time, as a list of steps.
type Trace []struct {
	DurationMS    float64 `json:"duration_ms"`
	BandwidthKbps float64 `json:"bandwidth_kbps"`
	LatencyMS     float64 `json:"latency_ms"`
}

// ReadTraces reads every trace of a folder, in the order of their names.
func ReadTraces(dir string) ([]Trace, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("read traces: %w", err)
	}
	slices.Sort(names)
	var out []Trace
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read traces: %w", err)
		}
		var t Trace
		if err := json.Unmarshal(b, &t); err != nil {
			return nil, fmt.Errorf("read trace %s: %w", name, err)
		}
		if t.length() > 0 {
			out = append(out, t)
		}
	}
	return out, nil
}

func (t Trace) length() (d time.Duration) {
	for _, s := range t {
		d += time.Duration(s.DurationMS * float64(time.Millisecond))
	}
	return d
}

// mean is in bits a second.
func (t Trace) mean() float64 {
	var bits, ms float64
	for _, s := range t {
		bits += s.BandwidthKbps * s.DurationMS
		ms += s.DurationMS
	}
	return bits / ms * 1000
}

func (t Trace) steps(scale float64) (out []virtual.Step) {
	for _, s := range t {
		out = append(out, virtual.Step{For: time.Duration(s.DurationMS * float64(time.Millisecond)), Rate: s.BandwidthKbps * 1000 * scale})
	}
	return out
}
