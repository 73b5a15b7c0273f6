package ffmpeg

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// threads is the number of threads of each encoder. It is a constant and not the
// number of cores: x264 gives other bytes for another number, and an upload resumed on
// another host must give the same.
const threads = "2"

// Fragments end at a keyframe, after a second, or at a million bytes, so that one
// (a megabyte, or a single larger frame) fits a chunk.
const (
	fragmentMicros = "1000000"
	fragmentBytes  = "1000000"
)

// firstPipe is the descriptor of the first track's pipe in the child; progress comes
// on the one before it.
const firstPipe = 4

// args is the whole command line of a plan.
func (p Plan) args(t Tools, file string) ([]string, error) {
	in, err := t.inputArgs(file)
	if err != nil {
		return nil, err
	}
	out := append(commonArgs(), "-fflags", "+discardcorrupt") // the frame that a broken off recording ends with is no frame
	out = append(out, in...)
	for i, t := range p.Tracks {
		out = append(out, t.args()...)
		out = append(out, "pipe:"+strconv.Itoa(firstPipe+i))
	}
	return out, checkArgs(out, "file:")
}

// commonArgs stand before everything else.
func commonArgs() []string {
	return []string{"-hide_banner", "-nostdin", "-nostats", "-v", "error", "-max_alloc", maxAlloc,
		"-stats_period", "0.5", "-progress", "pipe:" + strconv.Itoa(firstPipe-1), "-threads", threads, "-filter_threads", "1"}
}

// args is one output: which stream, how it is coded, how it is muxed.
func (t Track) args() []string {
	a := []string{"-map", "0:" + strconv.Itoa(t.Stream.Index), "-map_metadata", "-1", "-map_chapters", "-1"}
	switch {
	case t.Copy:
		a = append(a, "-c", "copy")
		if t.Stream.Codec == "aac" {
			// ADTS (in MPEG-TS) has no header of its own; with empty_moov the muxer does not
			// add the filter by itself. Other containers' packets pass through.
			a = append(a, "-bsf:a", "aac_adtstoasc")
		}
	case t.Kind == vstack.TrackVideo:
		a = append(a, t.encodeVideo()...)
	default:
		a = append(a, t.encodeAudio()...)
	}
	if iso := media.LanguageISO(t.Language); iso != "" {
		a = append(a, "-metadata:s:0", "language="+iso)
	}
	flags := "+empty_moov+delay_moov+default_base_moof+skip_trailer+frag_discont"
	if t.Kind == vstack.TrackVideo {
		flags += "+frag_keyframe"
	}
	// frag_discont writes true decode times; with the shift none is below zero, so no
	// output moves its own zero and tracks stay in sync.
	return append(a, "-fflags", "+bitexact", "-flags", "+bitexact", "-strict", "experimental",
		"-avoid_negative_ts", "disabled", "-output_ts_offset", strconv.Itoa(Shift), "-max_muxing_queue_size", "1024",
		"-f", "mp4", "-use_editlist", "0", "-movflags", flags,
		"-frag_duration", fragmentMicros, "-frag_size", fragmentBytes)
}

// encodeVideo is H.264 whose keyframes are exactly the forced ones: scene changes would
// put others into each rendition, and players switch only where all have one. Frame times
// are kept as they are (vfr, and the input's own time base), so variable frame rates stay
// variable.
func (t Track) encodeVideo() []string {
	a := append([]string{"-c:v", "libx264"}, x264Params()...)
	a = append(a, "-preset", t.preset(), "-crf", "21", "-profile:v", "high", "-level:v", h264Level(t.Width, t.Height, t.Stream.FrameRate), "-threads", threads,
		"-sc_threshold", "0", "-g", "1000000", "-force_key_frames", t.keyframes(), "-fps_mode", "vfr", "-enc_time_base", "-1", "-vf", t.videoFilter())
	if t.Late { // the first frame would have a decode time as far before zero as its delay
		a = append(a, "-bf", "0")
	}
	c := t.Color
	return append(a, "-color_range", c.Range, "-colorspace", c.Matrix, "-color_trc", c.Transfer, "-color_primaries", c.Primaries)
}

// largePixels is from where on x264 looks ahead less: its pictures would not fit the jail.
const largePixels = 12_000_000

func (t Track) preset() string {
	if t.Width*t.Height > largePixels {
		return "ultrafast"
	}
	return "veryfast"
}

// encodeAudio is AAC LC, 64 kbit/s a channel; gaps in the source's times become silence
// instead of moving what follows.
func (t Track) encodeAudio() []string {
	rate := t.Stream.SampleRate
	if rate > 48000 || rate < 8000 {
		rate = 48000
	}
	layout := t.Stream.StoredLayout()
	channels := map[string]int{"mono": 1, "stereo": 2, "3.0": 3, "4.0": 4, "5.0": 5, "5.1": 6}[layout]
	filter := "aformat=channel_layouts=" + layout
	if !t.Holes { // else package fmp4 fills them: this filter would hold them in memory
		filter = "aresample=async=1:min_hard_comp=0.1," + filter
	}
	return []string{"-c:a", "aac", "-b:a", strconv.Itoa(64000 * max(channels, 2)), "-ar", strconv.Itoa(aacRate(rate)), "-threads", "1", "-af", filter}
}

// aacRate rounds up to a rate that AAC has.
func aacRate(rate int) int {
	for _, r := range []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100} {
		if rate <= r {
			return r
		}
	}
	return 48000
}

// filterForm is one filter that pictures pass, none of which opens a file.
const filterForm = `(setpts|bwdif|setparams|zscale|format|tonemap|scale|setsar|tpad|fps|tile|select)=([a-zA-Z0-9_=:.*/()+-]|\\,)+`

// flags are all options that may stand on a command line, each with the form of its
// value; nil takes none.
var flags = func() map[string]*regexp.Regexp {
	word, num, hexKey := regexp.MustCompile(`^[a-z0-9_+,.]+$`), regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`), regexp.MustCompile(`^[0-9a-f]{32}$`)
	return map[string]*regexp.Regexp{
		"-hide_banner": nil, "-nostdin": nil, "-nostats": nil, "-copyts": nil, "-y": nil,
		"-v": word, "-max_alloc": num, "-stats_period": num, "-progress": regexp.MustCompile(`^pipe:[0-9]+$`),
		"-threads": num, "-protocol_whitelist": word, "-format_whitelist": word, "-i": nil, "-decryption_key": hexKey, "-decryption_iv": hexKey,
		"-map": regexp.MustCompile(`^[0-9]+(:[0-9]+)?$`), "-map_metadata": num, "-map_chapters": num, "-c": word, "-c:v": word, "-c:a": word, "-c:s": word, "-skip_frame": word, "-q:v": num, "-frames:v": num,
		"-preset": word, "-crf": num, "-profile:v": word, "-level:v": num, "-sc_threshold": num, "-bf": num, "-g": num, "-filter_threads": num,
		"-color_range": word, "-colorspace": word, "-color_trc": regexp.MustCompile(`^[a-z0-9-]+$`), "-color_primaries": regexp.MustCompile(`^[a-z0-9-]+$`), "-x264-params": regexp.MustCompile(`^asm=[A-Za-z0-9.,]+$`), "-force_key_frames": regexp.MustCompile(`^(expr:[a-z0-9_(),+]+|[0-9.]+(,[0-9.]+)*)$`),
		"-fps_mode": word, "-enc_time_base": num, "-vf": regexp.MustCompile(`^` + filterForm + `(,` + filterForm + `)*$`), "-af": regexp.MustCompile(`^[a-z0-9_=:.,]+$`),
		"-b:a": num, "-bsf:a": regexp.MustCompile("^(aac_adtstoasc|" + regexp.QuoteMeta(lastDuration) + ")$"), "-ar": num, "-metadata:s:0": regexp.MustCompile(`^language=[a-z]{3}$`),
		"-fflags": word, "-flags": word, "-strict": word, "-avoid_negative_ts": word, "-output_ts_offset": num,
		"-max_muxing_queue_size": num, "-f": word, "-use_editlist": num, "-movflags": word, "-frag_duration": num, "-frag_size": num,
	}
}()

// checkArgs refuses a command line that is not made of the known options: the last
// fence between a file's contents and a process. Files must begin with filePrefix.
func checkArgs(args []string, filePrefix string) error {
	bad := func(arg string) error {
		return fmt.Errorf("argument %q is not on the list: %w", arg, vstack.ErrInternal)
	}
	isFile := func(s string) bool {
		s = strings.TrimPrefix(s, "crypto:")
		return len(s) > len(filePrefix) && s[:len(filePrefix)] == filePrefix || flags["-progress"].MatchString(s)
	}
	for i := 0; i < len(args); i++ {
		form, known := flags[args[i]]
		switch {
		case !known && isFile(args[i]): // an output
		case !known:
			return bad(args[i])
		case args[i] == "-i":
			if i++; i >= len(args) || !isFile(args[i]) {
				return bad("-i")
			}
		case form != nil:
			if i++; i >= len(args) || !form.MatchString(args[i]) {
				return bad(args[i-1])
			}
		}
	}
	return nil
}
