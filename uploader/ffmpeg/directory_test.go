package ffmpeg

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// TestDirectory tries every file of a directory and prints what became of it, one line
// each: what a person would read, or what a browser shows beside what FFmpeg shows.
//
//	VSTACK_MEDIA=DIR go test ./uploader/ffmpeg -run TestDirectory -v
func TestDirectory(t *testing.T) {
	dir := os.Getenv("VSTACK_MEDIA")
	if dir == "" {
		t.Skip("SKIPPED: set VSTACK_MEDIA=DIR to try a directory of files")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			m, err := Probe(t.Context(), file)
			if err == nil {
				_, err = NewPlan(m, nil, Limits{})
			}
			if err != nil {
				t.Logf("%-28s refused: %v", filepath.Base(file), err)
				return
			}
			plan, tracks := cutFile(t, file)
			t.Logf("%-28s %s", filepath.Base(file), describe(tracks))
			for _, w := range plan.Warnings {
				t.Logf("    %s", w)
			}
			for _, w := range compareShown(t, m, file, tracks) {
				t.Errorf("    DIFFERS: %s", w)
			}
			for _, w := range compareBrowser(t, b, tracks) {
				t.Errorf("    BROWSER: %s", w)
			}
		})
	}
}

func describe(tracks []*track) string {
	var out []string
	for _, k := range tracks {
		how := "converted"
		if k.plan.Copy {
			how = "copied"
		}
		s := fmt.Sprintf("%s %s", k.init.Codec, how)
		if k.plan.Kind == vstack.TrackVideo {
			s += fmt.Sprintf(" %d×%d", k.init.Width, k.init.Height)
		} else {
			s += fmt.Sprintf(" %d ch", k.init.Channels)
		}
		if k.plan.Language != "" {
			s += " " + k.plan.Language
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// compareShown holds what FFmpeg shows of the source against what it shows of ours.
func compareShown(t *testing.T, m media.Media, file string, tracks []*track) (out []string) {
	t.Helper()
	result := inspect(t, export(t, tracks, "out.mp4"))
	pictures := 0 // they come first in what inspect says
	for i, k := range tracks {
		source := inspectStream(t, file, k.plan.Stream)
		if k.plan.Kind != vstack.TrackVideo {
			continue
		}
		got := result.frames[pictures]
		pictures++
		added := 0
		switch {
		case k.plan.Late:
			added = 1
		case k.plan.Torn:
			added = -1
		}
		if len(got) != len(source)+added {
			out = append(out, fmt.Sprintf("track %d: %d frames, source shows %d", i, len(got), len(source)))
		}
	}
	return out
}

// inspectStream is what FFmpeg shows of one stream of a source.
func inspectStream(t *testing.T, file string, s media.Stream) []frameSum {
	t.Helper()
	sums := sums(ffmpegRun(t, "-fflags", "+discardcorrupt", "-i", file, "-map", fmt.Sprintf("0:%d", s.Index), "-fps_mode", "passthrough", "-f", "framemd5", "-"))
	return sums[0]
}

// compareBrowser appends the first picture and the first sound together, and then each
// other track alone.
func compareBrowser(t *testing.T, b *browser, tracks []*track) (out []string) {
	t.Helper()
	var first, rest []*track
	kinds := map[vstack.TrackKind]bool{}
	for _, k := range tracks {
		if kinds[k.plan.Kind] {
			rest = append(rest, k)
			continue
		}
		kinds[k.plan.Kind] = true
		first = append(first, k)
	}
	groups := [][]*track{first}
	for _, k := range rest {
		groups = append(groups, []*track{k})
	}
	for _, g := range groups {
		s := b.play(t, g...)
		end := 0.0
		for _, k := range g {
			end = max(end, k.end())
		}
		switch {
		case s.Error != "":
			out = append(out, s.Error)
		case len(s.All) != 2 || s.All[0] > 0.1:
			out = append(out, fmt.Sprintf("buffered %v of %.3f s, tracks %v", s.All, end, s.Buffered))
		case s.All[1] < end-0.1:
			out = append(out, fmt.Sprintf("buffered to %.3f of %.3f s, tracks %v", s.All[1], end, s.Buffered))
		}
		if slices.ContainsFunc(g, func(k *track) bool { return k.plan.Kind == vstack.TrackVideo }) {
			t.Logf("    shown %d×%d, middle %v, buffered %v", s.Width, s.Height, s.Pixels, s.Buffered)
		}
	}
	return out
}
