package cut

import (
	"fmt"
	"math"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/fmp4"
)

// describe makes a track of its plan and its init segment. In version 1 width and height
// are of the picture as it is shown, after sample aspect and rotation; in version 2 they
// are of the coded one, and the details say how it is shown.
func describe(plan ffmpeg.Track, in *fmp4.Init, level vstack.Level) *vstack.Track {
	t := &vstack.Track{
		Number: plan.Number, Kind: plan.Kind, Codec: in.Codec, Name: plan.Name, Language: plan.Language,
		Copied: plan.Copy, Timescale: in.Timescale,
	}
	details := vstack.TrackDetails{Default: plan.Stream.Default, Forced: plan.Stream.Forced}
	if plan.Kind == vstack.TrackVideo {
		t.Width, t.Height = in.Width, in.Height
		details.SampleAspect, details.Colour, details.HDR = aspect(plan), plan.Colour(), plan.HDR()
		details.DisplayWidth, details.DisplayHeight = shown(in, details.SampleAspect)
	} else {
		t.SampleRate, t.Channels = in.SampleRate, in.Channels
		if plan.Copy { // the sample entry may say half the rate, and one channel, for HE-AAC
			t.SampleRate, t.Channels = plan.Stream.SampleRate, max(in.Channels, plan.Stream.Channels)
		}
		details.ChannelLayout = plan.Layout()
	}
	if level >= vstack.LevelFormats {
		t.TrackDetails = details
	} else if plan.Kind == vstack.TrackVideo {
		t.Width, t.Height = details.DisplayWidth, details.DisplayHeight
	}
	return t
}

// aspect is the shape of a coded sample; zero is square.
func aspect(plan ffmpeg.Track) vstack.Ratio {
	a := plan.Aspect
	if plan.Copy {
		a = plan.Stream.Aspect
	}
	if a.Num == a.Den || a.Num <= 0 || a.Den <= 0 || a.Num > math.MaxUint32 || a.Den > math.MaxUint32 {
		return vstack.Ratio{}
	}
	return vstack.Ratio{Num: uint32(a.Num), Den: uint32(a.Den)}
}

// shown is the picture's size in square pixels, after aspect and rotation.
func shown(in *fmp4.Init, a vstack.Ratio) (w, h int) {
	w, h = in.Width, in.Height
	if !a.IsZero() {
		w = int(math.Round(float64(w) * float64(a.Num) / float64(a.Den)))
	}
	if in.Rotation%180 != 0 {
		w, h = h, w
	}
	return w, h
}

// frameRate is frames ÷ time, to a thousandth: what is there, whatever a header says.
func frameRate(t *vstack.Track, frames int) float64 {
	if len(t.Chunks) == 0 {
		return 0
	}
	last := t.Chunks[len(t.Chunks)-1]
	ticks := last.Start + last.Duration - t.Chunks[0].Start
	if ticks <= 0 {
		return 0
	}
	return math.Round(float64(frames)*float64(t.Timescale)/float64(ticks)*1000) / 1000
}

// manifest puts the tracks together. said is what ffmpeg complained of on its way.
func (c *cut) manifest(said string) (vstack.Manifest, error) {
	m := vstack.Manifest{Version: vstack.ManifestFirst, Video: c.Video}
	if c.Level >= vstack.LevelFormats {
		m.Version = vstack.ManifestTable
	}
	playable := 0
	for _, t := range c.tracks {
		if t == nil || len(t.Chunks) == 0 {
			continue
		}
		if t.Kind != vstack.TrackOriginal {
			playable++
			last := t.Chunks[len(t.Chunks)-1]
			seconds := float64(last.Start+last.Duration) / float64(t.Timescale)
			m.Duration = max(m.Duration, seconds)
			t.Bitrate = bitrate(t, seconds)
		}
		m.Tracks = append(m.Tracks, *t)
	}
	for _, t := range c.added {
		m.Tracks = append(m.Tracks, *t)
	}
	if playable == 0 {
		return vstack.Manifest{}, fmt.Errorf("cut: %w: no track has a frame: %s", vstack.ErrTranscode, said)
	}
	if said != "" {
		c.job.Warn("ffmpeg: " + said)
	}
	if d := c.Plan.Duration; d > 0 && m.Duration < 0.95*d-1 {
		c.job.Warn(fmt.Sprintf("the file says that it lasts %.2f s, its frames end at %.2f s", d, m.Duration))
	}
	chooseDefaults(&m)
	withinTable(&m)
	return m, nil
}

// chooseDefaults leaves one track of each kind to play unless the viewer chooses: the
// first that the author marked, else the first. Renditions of one picture count as one.
func chooseDefaults(m *vstack.Manifest) {
	if m.Version != vstack.ManifestTable {
		return
	}
	for _, kind := range []vstack.TrackKind{vstack.TrackVideo, vstack.TrackAudio} {
		first, marked := -1, -1
		for i := range m.Tracks {
			t := &m.Tracks[i]
			if t.Kind != kind {
				continue
			}
			if first < 0 {
				first = i
			}
			if t.Default && marked < 0 {
				marked = i
			}
			t.Default = false
		}
		if marked < 0 {
			marked = first
		}
		if marked >= 0 {
			m.Tracks[marked].Default = true
		}
	}
}

// withinTable leaves out the fragments of the tracks that have most, where the table would
// be larger than a manifest may be: films of hours of nothing but keyframes. Players then
// go by chunks.
func withinTable(m *vstack.Manifest) {
	if m.Version != vstack.ManifestTable {
		return
	}
	for size, _ := vstack.TableSize(m); size > vstack.MaxManifest; size, _ = vstack.TableSize(m) {
		most, at := 0, -1
		for i := range m.Tracks {
			n := 0
			for _, k := range m.Tracks[i].Chunks {
				n += len(k.Fragments)
			}
			if n > most {
				most, at = n, i
			}
		}
		if at < 0 {
			return // the catalog says what is too large
		}
		for k := range m.Tracks[at].Chunks {
			m.Tracks[at].Chunks[k].Fragments = nil
		}
	}
}

// bitrate is the mean over the time from the track's first frame to its last.
func bitrate(t *vstack.Track, end float64) int64 {
	var size int64
	for _, k := range t.Chunks {
		size += int64(k.Size)
	}
	length := end - float64(t.Chunks[0].Start)/float64(t.Timescale)
	if length <= 0 {
		return 0
	}
	return int64(float64(size) * 8 / length)
}
