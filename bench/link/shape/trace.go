package shape

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// maxTrace bounds the file of a trace.
const maxTrace = 16 << 20

// Step is a time of a trace with one throughput, as the files of public simulators have
// it. The latency is of a round trip.
type Step struct {
	DurationMS    float64 `json:"duration_ms"`
	BandwidthKbps float64 `json:"bandwidth_kbps"`
	LatencyMS     float64 `json:"latency_ms"`
}

// Trace is measured throughput over time.
type Trace []Step

// ReadTrace reads a file: a JSON list of steps.
func ReadTrace(path string) (Trace, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	if info.Size() > maxTrace {
		return nil, fmt.Errorf("read trace %s: %w: %d bytes, at most %d", path, vstack.ErrTooLarge, info.Size(), maxTrace)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	var t Trace
	if err := json.Unmarshal(body, &t); err != nil {
		return nil, fmt.Errorf("read trace %s: %w: %w", path, vstack.ErrInvalid, err)
	}
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("read trace %s: %w", path, err)
	}
	return t, nil
}

// Validate refuses a trace over which nothing would ever pass.
func (t Trace) Validate() error {
	passes := false
	for i, s := range t {
		// Written so that NaN does not pass.
		if !(s.DurationMS >= 0 && s.DurationMS < 1e9 && s.BandwidthKbps >= 0 && s.BandwidthKbps < 1e9 && s.LatencyMS >= 0 && s.LatencyMS < 1e6) {
			return fmt.Errorf("step %d: %w: %+v", i+1, vstack.ErrInvalid, s)
		}
		passes = passes || s.BandwidthKbps > 0 && s.DurationMS > 0
	}
	if !passes {
		return fmt.Errorf("%w: %d steps, in none of them a byte passes", vstack.ErrInvalid, len(t))
	}
	return nil
}

// Plan is the trace round and round, begun at start, with its throughput times scale. What
// the trace does not say is as in base, and so is the delay if base has one.
func (t Trace) Plan(base Shape, scale float64, start time.Duration) (Plan, error) {
	if !(scale > 0) || math.IsInf(scale, 0) || start < 0 {
		return Plan{}, fmt.Errorf("trace: %w: scale %v, start %v", vstack.ErrInvalid, scale, start)
	}
	p := Plan{Loop: true}
	for _, step := range t {
		ph := Phase{For: time.Duration(step.DurationMS * float64(time.Millisecond)), Shape: base}
		if ph.For == 0 {
			continue
		}
		if ph.Shape.Rate = step.BandwidthKbps * 1000 * scale; ph.Shape.Rate == 0 {
			ph.Shape.Hold = true
		}
		if base.Delay == 0 {
			ph.Shape.Delay = time.Duration(step.LatencyMS * float64(time.Millisecond) / 2)
		}
		p.Phases = append(p.Phases, ph)
	}
	return p.From(start), nil
}

// From turns a plan that loops, so that it begins at a time from its start.
func (p Plan) From(start time.Duration) Plan {
	start %= p.period()
	i := 0
	for ; start >= p.Phases[i].For; i++ {
		start -= p.Phases[i].For
	}
	out := Plan{Loop: true}
	first, rest := p.Phases[i], p.Phases[i]
	first.For -= start
	out.Phases = append(append(append(out.Phases, first), p.Phases[i+1:]...), p.Phases[:i]...)
	if rest.For = start; start > 0 {
		out.Phases = append(out.Phases, rest)
	}
	return out
}
