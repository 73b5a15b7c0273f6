package playback

import (
	"testing"
	"time"
)

const sec = time.Second

func twoTracks(speed float64) *model {
	b := newModel(speed, 0, 10*sec)
	b.expect(1)
	b.expect(2)
	return b
}

func TestPlaybackStartsWithEveryTrack(t *testing.T) {
	b := twoTracks(1)
	b.delivered(1*sec, 1, 2*sec, false)
	if b.state != playWaiting {
		t.Fatal("started without the second track")
	}
	b.delivered(3*sec, 2, 4*sec, false)
	if b.state != playPlaying || b.startup != 3*sec {
		t.Fatalf("state %d, startup %v; want playing after 3s", b.state, b.startup)
	}
	if got := b.position(4 * sec); got != 1*sec {
		t.Errorf("position %v a second later", got)
	}
	if got := b.exhausted(); got != 5*sec {
		t.Errorf("runs dry at %v, want 5s: the shorter track counts", got)
	}
}

func TestPlaybackStallsWhenItRunsDry(t *testing.T) {
	b := twoTracks(1)
	b.delivered(0, 1, 10*sec, true)
	b.delivered(0, 2, 2*sec, false)
	b.advance(5 * sec) // ran dry at 2s, seen at 5s
	if b.state != playStalled || b.stalls != 1 || b.position(5*sec) != 2*sec {
		t.Fatalf("state %d, %d stalls, position %v", b.state, b.stalls, b.position(5*sec))
	}
	if got := b.stallTime(5 * sec); got != 3*sec {
		t.Errorf("stalled for %v so far", got)
	}
	b.delivered(6*sec, 2, 2*sec, false) // no more than was there
	if b.state != playStalled {
		t.Error("resumed without media")
	}
	b.delivered(7*sec, 2, 10*sec, true)
	if b.state != playPlaying || b.stallTime(20*sec) != 5*sec {
		t.Errorf("state %d, stalled for %v", b.state, b.stallTime(20*sec))
	}
	b.advance(15 * sec)
	if b.state != playEnded || b.since != 15*sec || b.stalls != 1 {
		t.Errorf("state %d since %v, %d stalls; want the end at 15s", b.state, b.since, b.stalls)
	}
}

func TestShortTrackHoldsNobodyUp(t *testing.T) {
	b := twoTracks(1)
	b.delivered(0, 1, 3*sec, true) // the audio ends early
	b.delivered(0, 2, 10*sec, true)
	b.advance(9 * sec)
	if b.stalls != 0 || b.position(9*sec) != 9*sec {
		t.Errorf("%d stalls, position %v", b.stalls, b.position(9*sec))
	}
}

func TestSpeedScalesTheClock(t *testing.T) {
	b := newModel(4, 2*sec, 10*sec)
	b.expect(1)
	b.delivered(1*sec, 1, 10*sec, true)
	if got := b.position(2 * sec); got != 6*sec {
		t.Errorf("position %v after a second at four times", got)
	}
	if got := b.dueAt(1*sec, 10*sec); got != 3*sec {
		t.Errorf("the end is due at %v", got)
	}
	b.advance(3 * sec)
	if b.state != playEnded {
		t.Errorf("state %d at the end", b.state)
	}
}

func TestMaxSpeedNeverStalls(t *testing.T) {
	b := newModel(0, 0, 10*sec)
	b.expect(1)
	for i := time.Duration(1); i <= 10; i++ {
		b.delivered(i*sec, 1, i*sec, i == 10)
		b.advance(i*sec + sec/2)
	}
	if b.stalls != 0 || b.state != playEnded || b.startup != sec || b.position(11*sec) != 10*sec {
		t.Errorf("%d stalls, state %d, startup %v, position %v", b.stalls, b.state, b.startup, b.position(11*sec))
	}
}

// TestTheMeanBuffer follows what is there beyond the position: it shrinks while nothing
// comes, and counts only while it plays and there is more to come.
func TestTheMeanBuffer(t *testing.T) {
	b := newModel(1, 0, 60*sec)
	b.expect(1)
	b.delivered(2*sec, 1, 4*sec, false)  // it begins with 4 s
	b.delivered(4*sec, 1, 12*sec, false) // after 2 s of 4 … 2, mean 3; 10 s are there now
	b.advance(14 * sec)                  // 10 s of 10 … 0, mean 5; then it stalls
	b.advance(20 * sec)
	if got, want := b.buffered(), (2*3.0+10*5.0)/12; got != want {
		t.Errorf("mean %v s, want %v", got, want)
	}
	b.delivered(21*sec, 1, 42*sec, false) // 30 s
	b.setSpeed(31*sec, 2)                 // 10 s of 30 … 20, mean 25
	b.delivered(36*sec, 1, 60*sec, true)  // 5 s of 20 … 10, mean 15; all is there
	b.advance(50 * sec)
	if got, want := b.buffered(), (2*3.0+10*5.0+10*25.0+5*15.0)/27; got != want {
		t.Errorf("mean %v s, want %v", got, want)
	}
}
