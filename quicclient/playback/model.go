package playback

import "time"

// model is the arithmetic of a player's buffer: the position in the media, what each
// track has delivered without a gap, and when playback started, stalled and went on.
// It is pure; times are on one monotonic clock that begins with the playback.
type model struct {
	speed float64                  // media seconds a second; 0 plays whatever is there at once
	start time.Duration            // of the media
	media time.Duration            // its end
	ends  map[uint16]time.Duration // delivered up to here, by track; absent: nothing yet
	done  map[uint16]bool          // everything delivered, by track

	state   playState
	since   time.Duration // when state began
	head    time.Duration // media position then
	startup time.Duration
	started bool
	seeks   int
	seeking time.Duration // from seeks to what was shown next, in all
	stalls  int
	stalled time.Duration // in all, the current stall excluded

	// ahead is the sum over time of what was there beyond the position, watched that time,
	// measured up to when: while it plays and there is more to come.
	ahead             float64 // seconds of media × seconds
	watched, measured time.Duration
}

type playState uint8

const (
	playWaiting playState = iota // for the first playable chunk of every track
	playPlaying
	playStalled
	playEnded
)

func newModel(speed float64, start, media time.Duration) *model {
	return &model{speed: speed, start: start, media: media, head: start, ends: make(map[uint16]time.Duration), done: make(map[uint16]bool)}
}

// expect names a track that playback cannot start without.
func (b *model) expect(track uint16) { b.done[track] = false }

// delivered notes that a track is there without a gap up to end, and whether that was
// all of it.
func (b *model) delivered(now time.Duration, track uint16, end time.Duration, last bool) {
	b.advance(now)
	b.ends[track], b.done[track] = max(b.ends[track], end), last
	switch b.state {
	case playWaiting:
		if b.playable() {
			if b.started {
				b.seeking += now - b.since
			} else {
				b.startup, b.started = now, true
			}
			b.enter(playPlaying, now)
		}
	case playStalled:
		if b.end() > b.head {
			b.stalled += now - b.since
			b.enter(playPlaying, now)
		}
	}
	b.advance(now)
}

// playable reports whether every track has something to show at the position.
func (b *model) playable() bool {
	for track, done := range b.done {
		if end, ok := b.ends[track]; !ok || end <= b.head && !done {
			return false
		}
	}
	return true
}

// advance moves the position to now. A stall begins at the moment when the buffer ran
// out, which is before now.
func (b *model) advance(now time.Duration) {
	if b.state != playPlaying {
		return
	}
	b.measure(now)
	end := b.end()
	at := b.exhausted()
	if b.speed > 0 && now < at {
		return
	}
	if b.speed == 0 {
		at = now
	}
	b.head = end
	switch {
	case end >= b.media:
		b.enter(playEnded, at)
	case b.speed > 0:
		b.stalls++
		b.enter(playStalled, at)
	default:
		b.since = now
	}
}

func (b *model) enter(s playState, now time.Duration) { b.state, b.since, b.measured = s, now, now }

// measure takes what was there beyond the position since the last time, during which nothing
// was delivered: it shrank evenly.
func (b *model) measure(now time.Duration) {
	until := min(now, b.exhausted())
	span := until - b.measured
	if b.speed == 0 || span <= 0 || b.end() >= b.media {
		return
	}
	from, to := b.end()-b.position(b.measured), b.end()-b.position(until)
	b.ahead += (from + to).Seconds() / 2 * span.Seconds()
	b.watched, b.measured = b.watched+span, until
}

// buffered is the mean of what was there beyond the position, in media time.
func (b *model) buffered() float64 {
	if b.watched <= 0 {
		return 0
	}
	return b.ahead / b.watched.Seconds()
}

// position is the media position at now, which advance has seen.
func (b *model) position(now time.Duration) time.Duration {
	if b.state != playPlaying || b.speed == 0 {
		return b.head
	}
	return min(b.end(), b.head+time.Duration(float64(now-b.since)*b.speed))
}

// end is how far every track is there; tracks that are complete hold nobody up.
func (b *model) end() time.Duration {
	end := b.media
	for track, done := range b.done {
		if !done {
			end = min(end, b.ends[track])
		}
	}
	return max(end, b.head)
}

// exhausted is when playback, if nothing more is delivered, has played what is there.
func (b *model) exhausted() time.Duration {
	return b.since + b.wall(b.end()-b.head)
}

// wall is how long media takes to play.
func (b *model) wall(media time.Duration) time.Duration {
	if b.speed == 0 {
		return 0
	}
	return time.Duration(float64(media) / b.speed)
}

// dueAt is when the position reaches at, if playback does not stall again.
func (b *model) dueAt(now, at time.Duration) time.Duration {
	if b.speed == 0 {
		return now + unhurried + at // in order, and late for nobody
	}
	switch b.state {
	case playPlaying:
		return b.since + b.wall(at-b.head)
	case playEnded:
		return now + unhurried
	}
	return b.since + b.wall(max(at-b.head, 0)) // waited for since then
}

// unhurried is when something is due that nobody waits for.
const unhurried = time.Hour

// lateness is how much later than it was due something comes; negative if sooner. Before
// the playback starts, and without a clock, nothing is late.
func (b *model) lateness(now, at time.Duration) (time.Duration, bool) {
	if b.speed == 0 || b.state == playWaiting || b.state == playEnded {
		return 0, false
	}
	return now - b.dueAt(now, at), true
}

// seek moves the position; what is there has to come anew.
func (b *model) seek(now, to time.Duration) {
	if b.state == playStalled {
		b.stalled += now - b.since
	}
	b.head = to
	b.seeks++
	clear(b.ends)
	for track := range b.done {
		b.done[track] = false
	}
	b.enter(playWaiting, now)
}

// setSpeed changes the clock from now on.
func (b *model) setSpeed(now time.Duration, speed float64) {
	if b.state == playPlaying {
		b.measure(now)
		b.head, b.since, b.measured = b.position(now), now, now
	}
	b.speed = speed
}

// stallTime is the time spent in stalls up to now.
func (b *model) stallTime(now time.Duration) time.Duration {
	if b.state == playStalled {
		return b.stalled + now - b.since
	}
	return b.stalled
}
