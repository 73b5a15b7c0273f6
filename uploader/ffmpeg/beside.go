package ffmpeg

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

const (
	// maxTexts bounds the subtitles of a file that are kept.
	maxTexts = 16
	// besideStall is how long the process may be silent: a sheet of tiles takes many
	// keyframes.
	besideStall = 10 * time.Minute

	// SheetColumns and SheetRows are the tiles of one sheet.
	SheetColumns, SheetRows = 5, 5
	// maxTiles bounds the tiles of a film; the time between them follows from it.
	maxTiles = 500
	// leastStep is the least time between two tiles, seconds.
	leastStep = 2
	tileSide  = 160  // pixels of a tile's long side
	postSide  = 1280 // and of the poster's, where the film has as many
	// posterAt is the part of the film after which the poster is taken, at most posterMax
	// seconds in, counted in posterStep.
	posterAt, posterMax, posterStep = 0.1, 60, 0.1
	// lastTile is what a film must have beyond the tile before, in seconds, to have another. A
	// header's length and that of the tracks are rarely the same to the millisecond; what is
	// made of the one should be what is made of the other.
	lastTile = 0.1
)

// Stills are the pictures that are made of a film beside its tracks: a poster, and sheets
// of small tiles, one every Step seconds. Only keyframes are decoded for them.
type Stills struct {
	Stream                    media.Stream
	Step                      int // seconds from one tile to the next
	Sheets                    int
	TileWidth, TileHeight     int
	PosterWidth, PosterHeight int
	poster                    float64 // when it is taken, seconds
}

// NewStills plans the pictures of a film that lasts seconds.
func NewStills(s media.Stream, seconds float64) Stills {
	shown := max(0, seconds-lastTile)
	x := Stills{Stream: s, Step: max(leastStep, int(math.Ceil(shown/maxTiles)))}
	tiles := max(1, int(math.Ceil(shown/float64(x.Step))))
	x.Sheets = (tiles + SheetColumns*SheetRows - 1) / (SheetColumns * SheetRows)
	x.TileWidth, x.TileHeight = within(s, tileSide)
	x.PosterWidth, x.PosterHeight = within(s, postSide)
	if shown >= 2*leastStep {
		x.poster = math.Round(min(posterAt*seconds, posterMax)/posterStep) * posterStep
	}
	return x
}

// within is the size of the shown picture with a long side of at most so many pixels.
func within(s media.Stream, side int) (int, int) {
	w, h := media.Shown(s.Upright())
	scale := min(1, float64(side)/float64(max(w, h)))
	return max(2, int(math.Round(float64(w)*scale))&^1), max(2, int(math.Round(float64(h)*scale))&^1)
}

// Beside is what is made of a file beside its tracks. Its outputs are, in this order, one
// WebVTT a text and, with Stills, JPEG pictures: the poster, of which the last picture
// counts, and the sheets.
type Beside struct {
	Texts  []media.Stream
	Stills *Stills
}

// Outputs is the number of pipes that the process has.
func (b Beside) Outputs() int {
	if b.Stills != nil {
		return len(b.Texts) + 2
	}
	return len(b.Texts)
}

// Same says that both make the same of one file.
func (b Beside) Same(o Beside) bool {
	same := func(a, b media.Stream) bool { return a.Index == b.Index }
	if !slices.EqualFunc(b.Texts, o.Texts, same) || (b.Stills == nil) != (o.Stills == nil) {
		return false
	}
	return b.Stills == nil || same(b.Stills.Stream, o.Stills.Stream) && fmt.Sprint(b.Stills.outputs()) == fmt.Sprint(o.Stills.outputs())
}

// StartBeside runs ffmpeg for what stands beside the tracks of a film of so many seconds.
func (t Tools) StartBeside(ctx context.Context, b Beside, seconds float64, file string) (*Process, error) {
	args, err := b.args(t, file)
	if err != nil {
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	return t.start(ctx, args, b.Outputs(), seconds, file, besideStall)
}

func (b Beside) args(t Tools, file string) ([]string, error) {
	in, err := t.inputArgs(file)
	if err != nil {
		return nil, err
	}
	out := commonArgs()
	if b.Stills != nil && b.Stills.Stream.Untimed.Num == 0 { // else frames are told apart by counting them
		out = append(out, "-skip_frame", "nokey")
	}
	out = append(out, in...)
	n := firstPipe
	add := func(s media.Stream, args ...string) {
		out = append(out, "-map", "0:"+strconv.Itoa(s.Index), "-map_metadata", "-1", "-map_chapters", "-1")
		out = append(out, args...)
		out = append(out, "-fflags", "+bitexact", "-flags", "+bitexact", "pipe:"+strconv.Itoa(n))
		n++
	}
	for _, s := range b.Texts {
		add(s, "-c:s", "webvtt", "-f", "webvtt")
	}
	if b.Stills != nil {
		for _, o := range b.Stills.outputs() {
			add(b.Stills.Stream, append(o, "-fps_mode", "passthrough", "-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe")...)
		}
	}
	return out, checkArgs(out, "file:")
}

// outputs are the arguments of poster and sheets. The first frame stands in for a poster
// where no keyframe follows its time, and the last keyframe for tiles behind it.
func (x Stills) outputs() [][]string {
	poster := []string{"-vf", fmt.Sprintf(`%s,select=eq(n\,0)+gte(t\,%.3f)`, x.filter(x.PosterWidth, x.PosterHeight), x.poster), "-frames:v", "2"}
	if x.poster == 0 {
		poster[3] = "1"
	}
	// The last keyframe stands in for as many tiles as there are, and no more: FFmpeg 5 has been
	// seen to go on for ever over a picture without end, once in 160 runs, where the poster had
	// yet to be told that the film is over.
	behind := x.Sheets*SheetColumns*SheetRows - 1
	sheets := fmt.Sprintf("%s,fps=fps=1/%d:start_time=0:round=up,tpad=stop=%d:stop_mode=clone,tile=layout=%dx%d", x.filter(x.TileWidth, x.TileHeight), x.Step, behind, SheetColumns, SheetRows)
	return [][]string{poster, {"-vf", sheets, "-frames:v", strconv.Itoa(x.Sheets)}}
}

// filter makes pictures of the given size in JPEG's colours.
func (x Stills) filter(w, h int) string {
	s := x.Stream
	s.Interlaced = false // lone keyframes have no neighbours to be woven with
	t := Track{Stream: s, Width: w, Height: h, Aspect: media.Square, Color: s.Color.Converted(s), Tonemap: s.Color.HDR()}
	return t.videoFilter() + fmt.Sprintf(",scale=in_color_matrix=%s:in_range=%s:out_color_matrix=smpte170m:out_range=pc,format=yuvj420p",
		media.Scaler(t.Color.Matrix), t.Color.Range)
}
