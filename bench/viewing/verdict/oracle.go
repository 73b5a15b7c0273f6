package verdict

import (
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/viewing"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/internal/vstack"
)

// Oracle is what a player would see that knew the links: it uses all of them from the
// first moment on, without losses, headers, congestion control or estimates, after one
// round trip for the handshake and one for the first request. Chunks come one after the
// other, each as soon as it may be asked for.
func Oracle(n scenario.Layout, m *vstack.Manifest, buffer time.Duration, download bool) viewing.Outcome {
	rtt := time.Hour
	for _, h := range n.Hosts {
		rtt = min(rtt, h.Up.Delay+h.Down.Delay)
	}
	w := water{n: n, now: 2 * rtt}
	var o viewing.Outcome
	var shown time.Duration // media that is there
	var latencies []float64
	var began, stalled time.Duration // of the playback; in stalls
	clock := !download
	var start time.Duration
	track := m.Tracks[0]
	for i, ref := range track.Chunks {
		asked := w.now
		if clock && began > 0 {
			// The chunk enters the window when the position is Buffer before it.
			enters := began + stalled + time.Duration(ref.Start)*time.Millisecond - buffer
			if enters > w.now {
				w.now = enters + rtt
				asked = enters
			}
		}
		for _, f := range ref.Fragments {
			w.pour(float64(f.Size))
			if i == 0 && shown == 0 {
				start, began = w.now, w.now
				o.First = start.Seconds()
			} else if dry := began + stalled + shown; clock && w.now > dry {
				late := w.now - dry
				stalled += late
				o.Stalls++
				o.LateMax = max(o.LateMax, late.Seconds())
			}
			shown += time.Duration(f.Duration) * time.Millisecond
		}
		latencies = append(latencies, max(w.now-asked, rtt).Seconds())
	}
	o.StallTime = stalled.Seconds()
	o.ChunkP50, o.ChunkP95, o.ChunkP99 = paired.Quantile(latencies, 0.5), paired.Quantile(latencies, 0.95), paired.Quantile(latencies, 0.99)
	var bytes float64
	for _, ref := range track.Chunks {
		bytes += float64(ref.Size)
	}
	elapsed := w.now
	if clock {
		elapsed = began + stalled + shown
	}
	o.Goodput = bytes * 8 / elapsed.Seconds()
	return o
}

// water is bytes that flow at the rate of all links together.
type water struct {
	n   scenario.Layout
	now time.Duration
}

// pourStep is how finely rates are followed.
const pourStep = 2 * time.Millisecond

// pour moves the time on to when so many bytes have come.
func (w *water) pour(bytes float64) {
	for bytes > 0 {
		var rate float64
		for _, h := range w.n.Hosts {
			rate += rateAt(h.Up, w.now)
		}
		if w.n.Down.Rate > 0 {
			rate = min(rate, w.n.Down.Rate)
		}
		step := rate / 8 * pourStep.Seconds()
		if step >= bytes {
			w.now += time.Duration(bytes / step * float64(pourStep))
			return
		}
		bytes -= step
		w.now += pourStep
	}
}

func rateAt(l virtual.LinkConfig, at time.Duration) float64 {
	if len(l.Steps) == 0 {
		return l.Rate
	}
	var total time.Duration
	for _, s := range l.Steps {
		total += s.For
	}
	at = (at + l.Offset) % total
	for _, s := range l.Steps {
		if at < s.For {
			return s.Rate
		}
		at -= s.For
	}
	return 0
}
