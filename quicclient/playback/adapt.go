package playback

import (
	"math"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// meter is what reading brought while chunks were asked for.
type meter struct {
	since time.Duration // of the stretch that is being measured
	busy  bool
	rate  float64 // bytes a second
}

// rateTau is how long the rate remembers.
const rateTau = 8 * time.Second

func (m *meter) begin(now time.Duration) { m.since, m.busy = now, true }
func (m *meter) end(time.Duration)       { m.busy = false }

// received counts a chunk that came in a stretch of reading.
func (m *meter) received(now time.Duration, n int64) {
	dt := now - m.since
	if !m.busy || dt <= 0 {
		return
	}
	sample := float64(n) / dt.Seconds()
	if m.rate == 0 {
		m.rate = sample
	} else {
		m.rate += (1 - math.Exp(-float64(dt)/float64(rateTau))) * (sample - m.rate)
	}
	m.since = now
}

const (
	// ampleBuffer lets a playback use all of the rate that it measured, thinBuffer less
	// than two thirds of it; between them the share grows evenly.
	thinBuffer, ampleBuffer = 5 * time.Second, 20 * time.Second
	thinShare, ampleShare   = 0.6, 0.95
	// keepShare is how much of the rate the rendition that plays may take before it is
	// left, with some buffer: changing to and fro is worse than either.
	keepShare = 1.1
)

// choose picks a rendition by its bits a second, given what reads bring and what is there
// to play. With little in the buffer it is careful, with much it is not: a wrong guess
// then costs buffer and no stall.
func choose(bitrates []float64, current int, rate float64, buffered time.Duration) int {
	if rate == 0 {
		return current
	}
	share := thinShare
	if buffered >= ampleBuffer {
		share = ampleShare
	} else if buffered > thinBuffer {
		share += (ampleShare - thinShare) * float64(buffered-thinBuffer) / float64(ampleBuffer-thinBuffer)
	}
	best, lowest := -1, 0
	for i, b := range bitrates {
		if b < bitrates[lowest] {
			lowest = i
		}
		if b <= share*rate*8 && (best < 0 || b > bitrates[best]) {
			best = i
		}
	}
	if best < 0 {
		best = lowest
	}
	if bitrates[best] < bitrates[current] && bitrates[current] <= keepShare*rate*8 && buffered > thinBuffer {
		return current
	}
	return best
}

// adapt changes a lane's rendition where the next chunk allows it.
func (p *Player) adapt(l *lane, now time.Duration) {
	if len(l.renditions) < 2 || len(l.plan) == 0 {
		return
	}
	bitrates := make([]float64, len(l.renditions))
	for i, t := range l.renditions {
		bitrates[i] = bitrateOf(t)
	}
	wanted := choose(bitrates, l.current, p.rate.rate, p.model.end()-p.model.position(now))
	if wanted == l.current {
		return
	}
	next := l.plan[0]
	items, err := lay(p.manifest.Video, l.renditions[wanted], next.lane)
	if err != nil {
		return // a rendition that cannot be played is none
	}
	i := slices.IndexFunc(items, func(it item) bool { return it.end > 0 && it.start == next.start })
	if i < 0 || !items[i].ref.Keyframe {
		return // not here; maybe at the next chunk
	}
	init := items[0]
	l.current, l.plan = wanted, items[i:]
	if init.end == 0 && !init.last && !l.inits[init.track.Number] {
		init.start = next.start
		l.plan = append([]item{init}, l.plan...)
		p.report.Total++
	}
	p.report.Switches++
	p.emit(Event{Kind: EventSwitch, Track: l.renditions[wanted].Number}, now)
}

// bitrateOf is what a track says of itself, or what its chunks add up to.
func bitrateOf(t vstack.Track) float64 {
	if t.Bitrate > 0 {
		return float64(t.Bitrate)
	}
	var bytes, ticks int64
	for _, c := range t.Chunks {
		bytes += int64(c.Size)
		ticks += c.Duration
	}
	if ticks == 0 {
		return 0
	}
	return float64(bytes) * 8 * float64(t.Timescale) / float64(ticks)
}
