package media

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// maxRate is the highest frame rate that a stream without times is believed to have.
const maxRate = 130

// Description is the part of ffprobe's JSON that is read. Numbers come as text.
type Description struct {
	Format struct {
		Name     string `json:"format_name"`
		Duration string `json:"duration"`
		Start    string `json:"start_time"`
	} `json:"format"`
	Streams []probeStream `json:"streams"`
	Mixed   []struct {
		Type       string `json:"type"`
		Stream     int    `json:"stream_index"`
		PTS        string `json:"pts_time"`
		Flags      string `json:"flags"`
		Interlaced int    `json:"interlaced_frame"`
		Picture    string `json:"pict_type"`
	} `json:"packets_and_frames"`
}

type probeStream struct {
	Index       int    `json:"index"`
	ID          string `json:"id"`
	Type        string `json:"codec_type"`
	Codec       string `json:"codec_name"`
	Tag         string `json:"codec_tag_string"`
	Profile     string `json:"profile"`
	Extradata   string `json:"extradata"`
	PixFmt      string `json:"pix_fmt"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Aspect      string `json:"sample_aspect_ratio"`
	FieldOrder  string `json:"field_order"`
	Range       string `json:"color_range"`
	Matrix      string `json:"color_space"`
	Transfer    string `json:"color_transfer"`
	Primaries   string `json:"color_primaries"`
	FrameRate   string `json:"avg_frame_rate"`
	BaseRate    string `json:"r_frame_rate"`
	BFrames     int    `json:"has_b_frames"`
	SampleRate  string `json:"sample_rate"`
	Channels    int    `json:"channels"`
	Layout      string `json:"channel_layout"`
	Start       string `json:"start_time"`
	Total       string `json:"nb_frames"`
	Disposition struct {
		Picture   int `json:"attached_pic"`
		Thumbnail int `json:"timed_thumbnails"`
		Default   int `json:"default"`
		Forced    int `json:"forced"`
	} `json:"disposition"`
	Tags struct {
		Language string `json:"language"`
	} `json:"tags"`
	SideData []struct {
		Rotation json.Number `json:"rotation"`
		Dolby    int         `json:"dv_profile"`
	} `json:"side_data_list"`
}

// Read takes ffprobe's JSON.
func (p *Description) Read(raw []byte) error {
	if err := json.Unmarshal(raw, p); err != nil {
		return fmt.Errorf("probe: %w: ffprobe's JSON: %w", vstack.ErrNotMedia, err)
	}
	return nil
}

// CodedBeside says that bytes beside a stream's frames tell how they are to be read.
func (p Description) CodedBeside() bool {
	return slices.ContainsFunc(p.Streams, func(s probeStream) bool { return s.Codec == "aac" || s.Codec == "flac" })
}

// Add takes those bytes from another answer about the same file.
func (p *Description) Add(data Description) {
	for i := range p.Streams {
		for _, d := range data.Streams {
			if d.Index == p.Streams[i].Index {
				p.Streams[i].Extradata = d.Extradata
			}
		}
	}
}

// Media puts the JSON into our words.
func (p Description) Media() Media {
	m := Media{Format: p.Format.Name, Duration: number(p.Format.Duration), Origin: signed(p.Format.Start)}
	// Matroska and fragmented MP4 state when the file ends, not how long it lasts.
	if m.Duration > m.Origin && m.Origin > 0 && (m.is("matroska") || m.is("mov")) {
		m.Duration -= m.Origin
	}
	heads := make(map[int]*head)
	for _, s := range p.Streams {
		heads[s.Index] = &head{ordered: true, first: math.Inf(1), least: math.Inf(1), most: math.Inf(-1)}
	}
	for _, k := range p.Mixed {
		h := heads[k.Stream]
		switch {
		case h == nil:
		case k.Type == "packet":
			h.packet(k.PTS, k.Flags, m.Origin)
		case k.Type == "frame":
			h.frame(k.Interlaced != 0, k.Picture)
		}
	}
	for _, s := range p.Streams {
		m.Streams = append(m.Streams, m.stream(s, heads[s.Index]))
	}
	return m
}

// stream puts one stream of the JSON into our words.
func (m Media) stream(s probeStream, h *head) Stream {
	x := Stream{
		Index: s.Index, Kind: s.Type, Codec: s.Codec, Tag: s.Tag, Profile: s.Profile, PixFmt: s.PixFmt,
		Width: s.Width, Height: s.Height, Aspect: aspect(s.Aspect), BFrames: s.BFrames,
		SampleRate: int(number(s.SampleRate)), Channels: s.Channels, Layout: s.Layout, Language: LanguageTag(s.Tags.Language),
		Picture: s.Disposition.Picture != 0 || s.Disposition.Thumbnail != 0, Default: s.Disposition.Default != 0, Forced: s.Disposition.Forced != 0,
		Frames: h.packets, Total: int(number(s.Total)), FrameRate: ratio(s.FrameRate),
		Color: Color{rangeOf(s.Range), matrixOf(s.Matrix), known(s.Transfer), known(s.Primaries)}, Configuration: -1,
	}
	if id, err := strconv.ParseInt(s.ID, 0, 32); err == nil {
		x.ID = int(id)
	}
	if x.Codec == "unknown" || x.Codec == "none" {
		x.Codec = ""
	}
	for _, d := range s.SideData {
		if deg, err := d.Rotation.Float64(); err == nil { // FFmpeg counts counter-clockwise
			x.Rotation = (int(math.Round(-deg/90))*90%360 + 360) % 360
		}
		x.Dolby = max(x.Dolby, d.Dolby)
	}
	if s.Start != "" && s.Start != "N/A" {
		x.Start = max(0, signed(s.Start)-m.Origin)
	}
	switch x.Codec {
	case "aac":
		x.Configuration = channelConfiguration(s.Extradata)
	case "flac":
		// The least and the largest block of STREAMINFO. Chromium takes a block for a frame
		// of the size before.
		if b := dumped(s.Extradata); len(b) >= 4 && (b[0] != b[2] || b[1] != b[3]) {
			x.because("it has blocks of many sizes")
		}
	}
	if x.Kind != "video" {
		return x
	}
	x.Interlaced = h.frames > 0 && 2*h.interlaced >= h.frames || h.frames == 0 && slices.Contains([]string{"tt", "bb", "tb", "bt"}, s.FieldOrder)
	if h.first < math.Inf(1) {
		x.Start = max(0, h.first)
	}
	// Clocks of a millisecond, and of a field, pass for a frame rate; count instead.
	if measured := h.rate(); x.FrameRate == 0 || measured > 0 && x.FrameRate > 1.5*measured {
		x.FrameRate = measured
	}
	if h.missing > 0 && h.missing == h.packets {
		a, b, _ := strings.Cut(s.BaseRate, "/")
		if x.Untimed = (Ratio{int(number(a)), int(number(b))}); x.Untimed.Num <= 0 || x.Untimed.Den <= 0 || x.Untimed.value() > maxRate || x.Untimed.value() < 1 {
			x.Untimed = Ratio{25, 1}
		}
		x.FrameRate = x.Untimed.value()
	}
	switch {
	case h.missing > 0:
		x.because("its frames have no times")
	case h.hidden || h.least < -0.001:
		x.because("frames lie before its start")
	case h.reordered && h.ordered && h.packets >= 8:
		x.because("its container has no times for reordered frames")
	}
	return x
}

// head is what the first packets and frames of one stream showed.
type head struct {
	packets, missing   int
	first, least, most float64 // times after the file's start: of the first keyframe, and of all from there on
	last               float64
	ordered, hidden    bool // times never go back; frames that are not shown
	frames, interlaced int
	reordered          bool // B-frames
	counted            int
}

func (h *head) packet(pts, flags string, origin float64) {
	h.packets++
	key := strings.HasPrefix(flags, "K")
	t, err := strconv.ParseFloat(pts, 64)
	if err != nil {
		h.missing++
		return
	}
	t -= origin
	if math.IsInf(h.first, 1) {
		if !key {
			return // FFmpeg and players begin with a keyframe
		}
		h.first, h.last = t, t
	}
	h.ordered = h.ordered && t >= h.last
	h.last, h.least, h.most = t, min(h.least, t), max(h.most, t)
	h.hidden = h.hidden || strings.Contains(flags, "D")
	h.counted++
}

func (h *head) frame(interlaced bool, picture string) {
	h.frames++
	if interlaced {
		h.interlaced++
	}
	h.reordered = h.reordered || picture == "B"
}

// rate is frames ÷ time, 0 if too few were seen.
func (h *head) rate() float64 {
	if span := h.most - h.least; h.counted >= 8 && span > 0 {
		return float64(h.counted-1) / span
	}
	return 0
}

// channelConfiguration reads it from an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) in
// ffprobe's dump; -1 where there is none (ADTS).
func channelConfiguration(dump string) int { return configurationOf(dumped(dump)) }

// dumped are the first bytes of ffprobe's dump.
func dumped(dump string) (b []byte) {
	for line := range strings.Lines(dump) {
		_, text, ok := strings.Cut(line, ": ")
		if !ok || len(b) >= 8 {
			continue
		}
		text, _, _ = strings.Cut(text, "  ")
		part, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			return nil
		}
		b = append(b, part...)
	}
	return b
}

// configurationOf reads the channel configuration behind object type and frequency.
func configurationOf(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	bits, at := append(slices.Clone(b), make([]byte, 8)...), 0
	take := func(n int) (v int) {
		for range n {
			v, at = v<<1|int(bits[at/8]>>(7-at%8)&1), at+1
		}
		return v
	}
	if take(5) == 31 {
		take(6)
	}
	if take(4) == 15 {
		take(24)
	}
	return take(4)
}

// colorName is the form of FFmpeg's names of colours.
var colorName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func known(s string) string {
	if s == "unknown" || s == "unspecified" || s == "reserved" || !colorName.MatchString(s) {
		return ""
	}
	return s
}

func rangeOf(s string) string {
	if s == "tv" || s == "pc" {
		return s
	}
	return ""
}

func matrixOf(s string) string {
	if s == "gbr" || Scaler(s) != "" {
		return s
	}
	return ""
}

func aspect(s string) Ratio {
	a, b, _ := strings.Cut(s, ":")
	if r := (Ratio{int(number(a)), int(number(b))}); r.believable() {
		return r
	}
	return Square
}

// number reads what cannot be negative; anything else is 0.
func number(s string) float64 { return max(0, signed(s)) }

func signed(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
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
