package subtitle

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/asticode/go-astisub"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// MaxBytes bounds a file of subtitles.
	MaxBytes = 2 << 20
	// MaxTime bounds the time of a cue.
	MaxTime = 24 * time.Hour
	// chunkTime is how long a chunk lasts at least.
	chunkTime = time.Minute
	header    = "WEBVTT\n\n"
)

// Text is subtitles in one language, in the order of their times.
type Text []Cue

// Cue is one of them.
type Cue struct {
	Start, End time.Duration
	block      string // as it stands in a WebVTT document, without the line's end
}

// Parse reads a file. What is no subtitles, or has no cue, is ErrFormInvalid.
func Parse(b []byte) (Text, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("subtitles: %w: larger than %d bytes", vstack.ErrFormInvalid, MaxBytes)
	}
	text, err := decode(b)
	if err != nil {
		return nil, err
	}
	read, err := reader(text)
	if err != nil {
		return nil, err
	}
	subs, err := guarded(read, text)
	if err != nil {
		return nil, fmt.Errorf("subtitles: %w: %w", vstack.ErrFormInvalid, err)
	}
	var out Text
	for _, item := range subs.Items {
		if item.StartAt < 0 || item.EndAt <= item.StartAt || item.EndAt > MaxTime {
			continue
		}
		block, err := blockOf(item)
		if err != nil {
			return nil, fmt.Errorf("subtitles: %w: %w", vstack.ErrFormInvalid, err)
		}
		if block != "" {
			out = append(out, Cue{item.StartAt, item.EndAt, block})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("subtitles: %w: they hold no text with a time", vstack.ErrFormInvalid)
	}
	slices.SortStableFunc(out, func(a, b Cue) int { return int(a.Start - b.Start) })
	return out, nil
}

// decode makes UTF-8 with plain line ends of what people save.
func decode(b []byte) (string, error) {
	var from encoding.Encoding
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		from = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case !utf8.Valid(b):
		from = charmap.Windows1252
	}
	if from != nil {
		var err error
		if b, err = from.NewDecoder().Bytes(b); err != nil {
			return "", fmt.Errorf("subtitles: %w: %w", vstack.ErrFormInvalid, err)
		}
	}
	s := strings.TrimPrefix(string(b), "\ufeff")
	if strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("subtitles: %w: not a text", vstack.ErrFormInvalid)
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), nil
}

type parser func(io.Reader) (*astisub.Subtitles, error)

// reader chooses by the contents: names lie.
func reader(s string) (parser, error) {
	start := strings.TrimSpace(s[:min(len(s), 4096)])
	switch {
	case strings.HasPrefix(start, "WEBVTT"):
		return astisub.ReadFromWebVTT, nil
	case strings.HasPrefix(start, "[Script Info]") || strings.Contains(start, "\n[V4"):
		return astisub.ReadFromSSA, nil
	case strings.HasPrefix(start, "<") && strings.Contains(start, "<tt"):
		return func(r io.Reader) (*astisub.Subtitles, error) { return astisub.ReadFromTTML(r) }, nil
	case strings.Contains(start, "-->"):
		return astisub.ReadFromSRT, nil
	}
	return nil, fmt.Errorf("subtitles: %w: neither SubRip, WebVTT, SSA, ASS nor TTML", vstack.ErrFormInvalid)
}

// guarded reads a stranger's file with a library that trusts it: a time without its end
// makes it index beyond a slice.
func guarded(read parser, text string) (subs *astisub.Subtitles, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("they are not of their form: %v", r)
		}
	}()
	return read(strings.NewReader(text))
}

// blockOf writes one cue: its time and its lines, none of which is blank. "" if it shows
// nothing.
func blockOf(item *astisub.Item) (string, error) {
	item.Comments, item.Region, item.Style = nil, nil, nil
	var b bytes.Buffer
	if err := (astisub.Subtitles{Items: []*astisub.Item{item}}).WriteToWebVTT(&b); err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimPrefix(b.String(), header+"1\n"), "\n")
	out := lines[:1]
	for _, l := range lines[1:] {
		if l = strings.ReplaceAll(l, "-->", "→"); strings.TrimSpace(l) != "" {
			out = append(out, l)
		}
	}
	if len(out) == 1 {
		return "", nil
	}
	return strings.Join(out, "\n"), nil
}

// Bytes is the whole as one document.
func (t Text) Bytes() []byte {
	b := []byte(header)
	for i, c := range t {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(append(b, c.block...), '\n')
	}
	return b
}

// Chunk is a run of cues, a document of its own. Chunks follow one another without a gap.
type Chunk struct {
	Start, End time.Duration
	Data       []byte
}

// Chunks cuts where no cue is shown, a minute after the last cut or later. The last chunk
// ends with the film, or with its own last cue.
func (t Text) Chunks(film time.Duration) []Chunk {
	var out []Chunk
	first, begin, shown := 0, time.Duration(0), time.Duration(0)
	for i, c := range t {
		if i > first && c.Start >= shown && c.Start-begin >= chunkTime {
			out = append(out, Chunk{begin, c.Start, t[first:i].Bytes()})
			first, begin = i, c.Start
		}
		shown = max(shown, c.End)
	}
	return append(out, Chunk{begin, max(film, shown), t[first:].Bytes()})
}
