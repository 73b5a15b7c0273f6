package media

import (
	"fmt"
	"slices"
)

// Late is the delay from which on a player would wait at 0 for a track, in seconds:
// Chromium starts up to a second before the first frame.
const Late = 0.9

// ByCodec is the reason of streams whose codec players do not have.
const ByCodec = "its codec"

// UnplayableVideo says why Chromium would not play the stream from fragmented MP4 as it
// is, or not as a good player shows the source; "" if it does. It plays H.264 with 8 bits
// 4:2:0, VP9 profiles 0 and 2, AV1 main; HEVC it does not play.
func (s Stream) UnplayableVideo(m Media) string {
	switch {
	case s.Codec == "h264" && (s.PixFmt == "yuv420p" || s.PixFmt == "yuvj420p") && s.Profile != "Extended":
	case (s.Codec == "vp9" || s.Codec == "av1") && (s.PixFmt == "yuv420p" || s.PixFmt == "yuv420p10le"):
	default:
		return ByCodec
	}
	switch {
	case s.Why != "":
		return s.Why
	case m.is("avi") && (s.BFrames > 0 || s.Codec != "h264"):
		return "AVI has no times for reordered frames"
	case s.Interlaced:
		return "it is interlaced, which browsers do not undo"
	case s.Start > Late:
		return fmt.Sprintf("it starts %.1f s after the rest; black is shown until then", s.Start)
	}
	return ""
}

// UnplayableAudio is the same for sound: AAC LC and HE, Opus, FLAC. MP3 in MP4 it refuses.
func (s Stream) UnplayableAudio() string {
	switch {
	case s.Codec == "aac" && slices.Contains([]string{"LC", "HE-AAC", "HE-AACv2"}, s.Profile) && s.Channels <= 8:
	case (s.Codec == "opus" || s.Codec == "flac") && s.Channels <= 8:
	default:
		return ByCodec
	}
	switch {
	case s.Why != "":
		return s.Why
	case s.Codec == "aac" && s.Configuration == 0:
		return "its AAC describes its channels itself, which browsers refuse"
	case s.Codec == "aac" && s.Configuration < 0 && s.Channels > 2 && !slices.Contains(aacLayouts, s.Layout):
		return fmt.Sprintf("AAC has no channel configuration for %s", s.Layout)
	case s.Codec == "opus" && s.Channels > 2 && s.Layout == "":
		return "its channels have no order"
	case s.Start > Late && (s.Codec != "aac" || s.Profile != "LC"):
		return fmt.Sprintf("it starts %.1f s after the rest; silence is heard until then", s.Start)
	}
	return ""
}

// aacLayouts are the layouts of AAC's channel configurations 1 to 7, in that order, by
// FFmpeg's names.
var aacLayouts = []string{"mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1(wide)"}

// StoredLayout is the layout that a converted sound gets: one that has a channel
// configuration, takes every channel of the source that it can, and moves none.
func (s Stream) StoredLayout() string {
	switch s.Layout {
	case "mono", "stereo", "3.0", "4.0", "5.0", "5.1":
		return s.Layout
	case "downmix":
		return "stereo"
	case "5.0(side)":
		return "5.0"
	case "3.0(back)", "3.1", "2.1", "quad", "quad(side)", "4.1", "5.1(side)":
		return "5.1"
	}
	switch {
	case s.Channels == 1:
		return "mono"
	case s.Channels == 2:
		return "stereo"
	}
	return "5.1"
}
