package ffmpeg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	probeTimeout = 60 * time.Second
	maxProbe     = 4 << 20 // bytes of ffprobe's JSON
)

// Stream is one stream of a file, as ffprobe sees it.
type Stream struct {
	Index      int
	Kind       string // "video", "audio", "subtitle", "data", "attachment"
	Codec      string // FFmpeg's name, "h264"
	Profile    string
	PixFmt     string
	Width      int // as coded
	Height     int
	Rotation   int     // clockwise degrees, 0, 90, 180 or 270
	FrameRate  float64 // mean frames a second, 0 if unknown
	BFrames    int     // depth of reordering
	SampleRate int
	Channels   int
	Language   string
	Picture    bool // an attached picture, not a moving one
	Frames     int  // packets seen at the start of the file
}

// Media is what Probe found.
type Media struct {
	Format   string  // ffprobe's format_name
	Duration float64 // seconds, 0 if the file does not say
	Streams  []Stream
	Warnings []string
}

// Probe asks the ffprobe on PATH.
func Probe(ctx context.Context, file string) (Media, error) { return Tools{}.Probe(ctx, file) }

// Probe reads what a local file holds. What FFmpeg cannot read is ErrNotMedia; an MP4
// that ends before its boxes do is ErrTruncated; a file without any frame of picture or
// sound is ErrNoStreams.
func (t Tools) Probe(ctx context.Context, file string) (Media, error) {
	warning, err := checkBoxes(file)
	if err != nil {
		return Media{}, err
	}
	raw, err := t.probeJSON(ctx, file)
	if err != nil {
		return Media{}, err
	}
	m, err := parseProbe(raw)
	if err != nil {
		return Media{}, err
	}
	if warning != "" {
		m.Warnings = append(m.Warnings, warning)
	}
	usable, frames := 0, 0
	for _, s := range m.Streams {
		if s.playable() {
			usable++
			frames += s.Frames
		}
	}
	if usable == 0 {
		return Media{}, fmt.Errorf("probe: %w: %d streams in %s", vstack.ErrNoStreams, len(m.Streams), m.Format)
	}
	if frames == 0 {
		return Media{}, fmt.Errorf("probe: %w: its streams hold no frames", vstack.ErrNotMedia)
	}
	return m, nil
}

// playable says that a stream is picture or sound that someone could want.
func (s Stream) playable() bool {
	switch s.Kind {
	case "video":
		return !s.Picture && s.Codec != "" && s.Width > 0 && s.Height > 0
	case "audio":
		return s.Codec != "" && s.Channels > 0 && s.SampleRate > 0
	}
	return false
}

func (t Tools) probeJSON(ctx context.Context, file string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	in, err := inputArgs(file)
	if err != nil {
		return nil, err
	}
	args := append([]string{"-hide_banner", "-v", "error", "-max_alloc", maxAlloc, "-of", "json",
		"-show_format", "-show_streams", "-show_packets", "-read_intervals", "%+#64",
		"-show_entries", "format=format_name,duration:stream:stream_tags=language:stream_disposition=attached_pic:stream_side_data:packet=stream_index,size"}, in...)
	out, stderr := &limited{max: maxProbe}, &tail{max: 8 << 10}
	c := command(ctx, t.ffprobe(), args...)
	c.Stdout, c.Stderr = out, stderr
	err = runLocked(c)
	abs, _ := filepath.Abs(file)
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return nil, fmt.Errorf("probe: %w: ffprobe took longer than %s", vstack.ErrMediaUnfit, probeTimeout)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("probe: %w", ctx.Err())
	case out.over:
		return nil, fmt.Errorf("probe: %w: description larger than %d bytes", vstack.ErrMediaUnfit, maxProbe)
	case isExit(err):
		return nil, fmt.Errorf("probe: %w: %s", vstack.ErrNotMedia, stderr.text(abs))
	case err != nil:
		return nil, fmt.Errorf("run ffprobe: %w: %w", vstack.ErrInternal, err)
	}
	return out.b.Bytes(), nil
}

// probeOutput is the part of ffprobe's JSON that is read. Numbers come as text.
type probeOutput struct {
	Format struct {
		Name     string `json:"format_name"`
		Duration string `json:"duration"`
	} `json:"format"`
	Streams []struct {
		Index       int    `json:"index"`
		Type        string `json:"codec_type"`
		Codec       string `json:"codec_name"`
		Profile     string `json:"profile"`
		PixFmt      string `json:"pix_fmt"`
		Width       int    `json:"width"`
		Height      int    `json:"height"`
		FrameRate   string `json:"avg_frame_rate"`
		BFrames     int    `json:"has_b_frames"`
		SampleRate  string `json:"sample_rate"`
		Channels    int    `json:"channels"`
		Disposition struct {
			Picture int `json:"attached_pic"`
		} `json:"disposition"`
		Tags struct {
			Language string `json:"language"`
		} `json:"tags"`
		SideData []struct {
			Rotation json.Number `json:"rotation"`
		} `json:"side_data_list"`
	} `json:"streams"`
	Packets []struct {
		Stream int    `json:"stream_index"`
		Size   string `json:"size"`
	} `json:"packets"`
}

func parseProbe(raw []byte) (Media, error) {
	var p probeOutput
	if err := json.Unmarshal(raw, &p); err != nil {
		return Media{}, fmt.Errorf("probe: %w: ffprobe's JSON: %w", vstack.ErrNotMedia, err)
	}
	frames := map[int]int{}
	for _, k := range p.Packets {
		frames[k.Stream]++
	}
	m := Media{Format: p.Format.Name, Duration: number(p.Format.Duration)}
	for _, s := range p.Streams {
		x := Stream{
			Index: s.Index, Kind: s.Type, Codec: s.Codec, Profile: s.Profile, PixFmt: s.PixFmt,
			Width: s.Width, Height: s.Height, FrameRate: ratio(s.FrameRate), BFrames: s.BFrames,
			SampleRate: int(number(s.SampleRate)), Channels: s.Channels, Language: language(s.Tags.Language),
			Picture: s.Disposition.Picture != 0, Frames: frames[s.Index],
		}
		if x.Codec == "unknown" || x.Codec == "none" {
			x.Codec = ""
		}
		for _, d := range s.SideData {
			// FFmpeg counts counter-clockwise.
			if deg, err := d.Rotation.Float64(); err == nil {
				x.Rotation = (int(math.Round(-deg/90))*90%360 + 360) % 360
			}
		}
		m.Streams = append(m.Streams, x)
	}
	return m, nil
}

// language keeps two or three small letters, the only form that containers agree on.
func language(s string) string {
	s = strings.ToLower(s)
	if len(s) < 2 || len(s) > 3 || s == "und" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "" {
		return ""
	}
	return s
}

func number(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return 0
	}
	return f
}

func ratio(s string) float64 {
	a, b, _ := strings.Cut(s, "/")
	if d := number(b); d > 0 {
		return number(a) / d
	}
	return 0
}

// limited keeps the first max bytes and remembers that there were more.
type limited struct {
	b    bytes.Buffer
	max  int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > l.max {
		l.over = true
		return 0, errors.New("output larger than its bound")
	}
	return l.b.Write(p)
}
