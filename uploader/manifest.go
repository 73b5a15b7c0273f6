package uploader

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/fmp4"
)

// describe makes a track of its plan and its init segment. Width and height are of the
// picture as it is shown, after rotation.
func describe(plan ffmpeg.Track, in *fmp4.Init) *vstack.Track {
	t := &vstack.Track{
		Number: plan.Number, Kind: plan.Kind, Codec: in.Codec, Name: plan.Name, Language: plan.Language,
		Copied: plan.Copy, Timescale: in.Timescale,
	}
	if plan.Kind == vstack.TrackVideo {
		t.Width, t.Height, t.FrameRate = in.Width, in.Height, plan.Stream.FrameRate
		if in.Rotation%180 != 0 {
			t.Width, t.Height = t.Height, t.Width
		}
		return t
	}
	t.SampleRate, t.Channels = in.SampleRate, in.Channels
	if plan.Copy { // the sample entry may say 2 for any number, and half the rate for HE-AAC
		t.SampleRate, t.Channels = plan.Stream.SampleRate, plan.Stream.Channels
	}
	return t
}

// manifest puts the tracks together. said is what ffmpeg complained of on its way.
func (c *cut) manifest(said string) (vstack.Manifest, error) {
	m := vstack.Manifest{Version: 1, Video: c.up.Video}
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
	if playable == 0 {
		return vstack.Manifest{}, fmt.Errorf("cut: %w: no track has a frame: %s", vstack.ErrTranscode, said)
	}
	if said != "" {
		c.job.warn("ffmpeg: " + said)
	}
	if d := c.plan.Duration; d > 0 && m.Duration < 0.95*d-1 {
		c.job.warn(fmt.Sprintf("the file says that it lasts %.2f s, its frames end at %.2f s", d, m.Duration))
	}
	return m, nil
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
