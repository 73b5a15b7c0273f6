package cut

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/arrive"
	"github.com/vstack/vstack/uploader/ffmpeg"
	spooled "github.com/vstack/vstack/uploader/source"
)

// planned is the plan of a file of this machine's, cut as it is.
func planned(t *testing.T, file string) ffmpeg.Plan {
	t.Helper()
	media, err := ffmpeg.Probe(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := ffmpeg.NewPlan(media, nil, ffmpeg.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestPicturesAreMadeWhileTheTracksAre makes them of the length that the header states, and
// finds that the tracks want the same, where sound outlasts the picture and where a film
// lasts as long as its tiles, too.
func TestPicturesAreMadeWhileTheTracksAre(t *testing.T) {
	for name, d := range map[string]string{"a whole number of tiles": "8", "a part of a tile": "8.7", "shorter than a tile": "0.8"} {
		t.Run(name, func(t *testing.T) {
			file := film(t, "film.mp4", "", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d="+d, "-f", "lavfi", "-i", "sine=d="+d,
				"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
			whole, err := arrive.OpenWhole(spooled.Vault{}, file)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(whole.Close)
			plan := planned(t, file)
			c := &cut{Order: Order{Plan: plan, Level: vstack.LevelFormats}}
			c.Tools.Arriving = whole
			a := c.startAside(t.Context())
			if a == nil {
				t.Fatalf("nothing is made, of a film of %g s", plan.Duration)
			}
			defer a.end()
			m, kept := cutFile(t, file, vstack.LevelFormats)
			seconds := 0.0
			var pictures [][]byte
			for _, tr := range m.Tracks {
				last := tr.Chunks[len(tr.Chunks)-1]
				if tr.Kind != vstack.TrackImage {
					seconds = max(seconds, float64(last.Start+last.Duration)/float64(tr.Timescale))
					continue
				}
				for _, k := range tr.Chunks {
					pictures = append(pictures, kept.chunks[vstack.Slot{Video: m.Video, Track: tr.Number, Seq: k.Seq}])
				}
			}
			made, err := a.take(c.wanted(&plan.Tracks[0].Stream, seconds))
			if err != nil || len(made) != 2 {
				t.Fatalf("by the header %g s, by the tracks %g s: %d outputs, %v", plan.Duration, seconds, len(made), err)
			}
			got := append([][]byte{made[0][len(made[0])-1]}, made[1]...)
			if !reflect.DeepEqual(got, pictures) {
				t.Error("other pictures than those of the whole file")
			}
		})
	}
}

// TestALengthThatLiesDoesNotShow gives a film's header an hour more than there is: what was
// made by it is not what the film gets.
func TestALengthThatLiesDoesNotShow(t *testing.T) {
	file := film(t, "film.mkv", "", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=9", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte{0x44, 0x89, 0x88}) // Duration, eight bytes of a float: milliseconds
	if at < 0 {
		t.Fatal("the header states no length")
	}
	binary.BigEndian.PutUint64(b[at+3:], 0x414b774000000000) // 3,600,000
	liar := filepath.Join(t.TempDir(), "film.mkv")
	if err := os.WriteFile(liar, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if d := planned(t, liar).Duration; d != 3600 {
		t.Fatalf("its header states %g s", d)
	}
	want, _ := cutFile(t, file, vstack.LevelFormats)
	got, kept := cutFile(t, liar, vstack.LevelFormats)
	for _, n := range []int{1, 2} {
		if g, w := got.Tracks[n], want.Tracks[n]; g.Kind != vstack.TrackImage || !reflect.DeepEqual(g.Chunks, w.Chunks) {
			t.Errorf("%s: %+v, of the honest file %+v; %q", g.Name, g.Chunks, w.Chunks, kept.warnings)
		}
	}
}

// TestWhatIsMadeAsideEndsWithTheCut leaves no process behind when a cut fails.
func TestWhatIsMadeAsideEndsWithTheCut(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	file := film(t, "film.mp4", "", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	open, err := arrive.Open(spooled.Vault{}, file) // nothing of it has arrived
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(open.Close)
	c := &cut{Order: Order{Plan: planned(t, file), Level: vstack.LevelFormats}}
	c.Tools.Arriving = open
	a := c.startAside(ctx)
	cancel()
	a.end()
	if _, err := a.take(a.wanted); err == nil {
		t.Error("it has made something of a file that never came")
	}
}
