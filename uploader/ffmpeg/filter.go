package ffmpeg

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// forceEvery is the time between keyframes of a picture that has no copied rendition, and
// so no cut points of its own: half of what lies between cut points, for finer seeks.
const forceEvery = 2

// keyframes says where a converted picture has its keyframes.
func (t Track) keyframes() string {
	if t.Cuts == nil {
		return fmt.Sprintf("expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+%d))", forceEvery)
	}
	// The frame itself lies a rounding of its clock after its time in the list, or before.
	var b strings.Builder
	for _, c := range t.Cuts {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatFloat(max(0, c-0.001), 'f', 3, 64))
	}
	return b.String()
}

// videoFilter turns the decoded picture into the one that is stored: progressive, in the
// stated size, aspect and colour.
func (t Track) videoFilter() string {
	s := t.Stream
	var f []string
	if s.Untimed.Num > 0 {
		f = append(f, fmt.Sprintf("setpts=N*%d/%d/TB", s.Untimed.Den, s.Untimed.Num))
	}
	if s.Interlaced {
		f = append(f, "bwdif=mode=send_frame:deint=interlaced")
	}
	from := s.Color.Resolved(s)
	if !s.RGB() && !s.Gray() {
		// Some decoders forget what the container says.
		f = append(f, fmt.Sprintf("setparams=range=%s:color_primaries=%s:color_trc=%s:colorspace=%s", from.Range, from.Primaries, from.Transfer, from.Matrix))
	}
	if t.Tonemap {
		// To linear light, 100 cd/m² as white, into BT.709's colours, and the highlights
		// bent into what a plain screen can show.
		f = append(f, "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p")
		from = t.Color
	}
	scale := fmt.Sprintf("scale=%d:%d", t.Width, t.Height)
	if !s.RGB() && !s.Gray() {
		scale += ":in_color_matrix=" + media.Scaler(from.Matrix) + ":in_range=" + from.Range
	}
	f = append(f, scale+":out_color_matrix="+media.Scaler(t.Color.Matrix)+":out_range="+t.Color.Range,
		"format=yuv420p", fmt.Sprintf("setsar=r=%d/%d:max=100000", t.Aspect.Num, t.Aspect.Den))
	if t.Late { // one black picture, from 0 to the first one
		f = append(f, "tpad=start=1:color=black", `setpts=if(eq(N\,0)\,0\,PTS-1/FRAME_RATE/TB)`)
	}
	return strings.Join(f, ",")
}

// h264Levels are the levels of ISO/IEC 14496-10, table A-1: macroblocks a second, of a
// picture, and of the decoder's pictures together.
var h264Levels = []struct {
	name               string
	rate, picture, dpb int
}{
	{"1.0", 1485, 99, 396}, {"1.1", 3000, 396, 900}, {"1.2", 6000, 396, 2376}, {"1.3", 11880, 396, 2376}, {"2.0", 11880, 396, 2376},
	{"2.1", 19800, 792, 4752}, {"2.2", 20250, 1620, 8100}, {"3.0", 40500, 1620, 8100}, {"3.1", 108000, 3600, 18000}, {"3.2", 216000, 5120, 20480},
	{"4.0", 245760, 8192, 32768}, {"4.2", 522240, 8704, 34816}, {"5.0", 589824, 22080, 110400}, {"5.1", 983040, 36864, 184320}, {"5.2", 2073600, 36864, 184320},
	{"6.0", 4177920, 139264, 696320}, {"6.1", 8355840, 139264, 696320}, {"6.2", 16711680, 139264, 696320},
}

// dpbPictures is what the encoder's settings keep for reference: three B-frames in a
// pyramid and one reference.
const dpbPictures = 4

// h264Level is the lowest level that a picture of this size and rate fits. An encoder left
// to itself judges by the clock of the input, which may count milliseconds.
func h264Level(w, h int, rate float64) string {
	if rate <= 0 {
		rate = 30
	}
	mbs := ((w + 15) / 16) * ((h + 15) / 16)
	for _, l := range h264Levels {
		if float64(mbs)*rate <= float64(l.rate) && mbs <= l.picture && mbs*dpbPictures <= l.dpb && w*w/256 <= 8*l.picture && h*h/256 <= 8*l.picture {
			return l.name
		}
	}
	return h264Levels[len(h264Levels)-1].name
}
