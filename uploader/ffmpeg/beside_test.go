package ffmpeg

import (
	"testing"

	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// TestAHeadersLengthIsAsGoodAsTheTracks: the two differ by a part of a frame.
func TestAHeadersLengthIsAsGoodAsTheTracks(t *testing.T) {
	s := media.Stream{Index: 0, Kind: "video", Width: 1280, Height: 720, Color: media.Color{Range: "tv", Matrix: "bt709"}}
	of := func(seconds float64) Beside {
		x := NewStills(s, seconds)
		return Beside{Stills: &x}
	}
	for _, c := range []struct {
		a, b float64
		same bool
	}{
		{200, 200.023, true}, {199.98, 200, true}, {50, 50.02, true}, {1000, 1000.04, true}, {3.98, 4.02, true}, {7200, 7200.09, true},
		{50, 50.2, false}, {200, 210, false}, {1000, 1003, false}, {9, 3600, false},
	} {
		if got := of(c.a).Same(of(c.b)); got != c.same {
			t.Errorf("%g and %g s: the same is %t, not %t", c.a, c.b, got, c.same)
		}
	}
	texts := Beside{Texts: []media.Stream{{Index: 3}}}
	if texts.Same(Beside{}) || texts.Same(Beside{Texts: []media.Stream{{Index: 4}}}) || !texts.Same(Beside{Texts: []media.Stream{{Index: 3}}}) {
		t.Error("texts are told apart by their streams")
	}
}
