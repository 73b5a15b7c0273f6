package playlist

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// textSets are the subtitles in DASH: one set a track, its whole text at one address.
func (f *Film) textSets() []adaptationSet {
	var out []adaptationSet
	for _, t := range f.Text {
		role := "subtitle"
		if t.Forced {
			role = "forced-subtitle"
		}
		out = append(out, adaptationSet{
			ContentType: "text", MimeType: "text/vtt", Lang: t.language(), Aligned: true, Roles: []descriptor{{"urn:mpeg:dash:role:2011", role}},
			Representations: []representation{{ID: strconv.Itoa(int(t.Number)), Bandwidth: max(t.Peak, 1), BaseURL: fmt.Sprintf("%d.vtt", t.Number)}},
		})
	}
	return out
}

// tileSets are the sheets of tiles, as DASH-IF's guidelines for players have them.
func (f *Film) tileSets() []adaptationSet {
	t := f.Tiles
	if t == nil {
		return nil
	}
	return []adaptationSet{{
		ContentType: "image", MimeType: "image/jpeg", Aligned: true,
		Essential: []descriptor{{"http://dashif.org/guidelines/thumbnail_tile", fmt.Sprintf("%dx%d", t.Columns, t.Rows)}},
		Representations: []representation{{
			ID: strconv.Itoa(int(t.Number)), Bandwidth: max(t.Peak, 1), Width: t.Width, Height: t.Height,
			Template: &template{Timescale: t.Timescale, Duration: t.Chunks[0].Duration, StartNumber: 1, Media: "$RepresentationID$/$Number$.jpg"},
		}},
	}}
}

// Thumbs lists the tiles with their times and places as WebVTT, which many players read;
// "" if there are none. Its addresses are relative to /play/{video}/.
func (f *Film) Thumbs() string {
	t := f.Tiles
	if t == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(textHeader)
	w, h := t.Width/t.Columns, t.Height/t.Rows
	for _, c := range t.Chunks {
		step := float64(c.Duration) / float64(t.Columns*t.Rows) / float64(t.Timescale)
		for i := range t.Columns * t.Rows {
			at := float64(c.Start)/float64(t.Timescale) + float64(i)*step
			if at >= f.Duration {
				break
			}
			fmt.Fprintf(&b, "%s --> %s\n%d/%d.jpg#xywh=%d,%d,%d,%d\n\n", textTime(at), textTime(min(at+step, f.Duration)), t.Number, c.Seq,
				i%t.Columns*w, i/t.Columns*h, w, h)
		}
	}
	return b.String()
}

// textHeader begins each document of a text track.
const textHeader = "WEBVTT\n\n"

// textTime writes a time as WebVTT has it.
func textTime(seconds float64) string {
	d := time.Duration(math.Round(seconds*1000)) * time.Millisecond
	return fmt.Sprintf("%02d:%02d:%02d.%03d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d.Milliseconds()%1000)
}

// JoinText puts the documents of a text track's chunks together.
func JoinText(chunks [][]byte) []byte {
	out := []byte(textHeader)
	for i, c := range chunks {
		if i > 0 {
			out = append(out, '\n')
		}
		out = append(out, bytes.TrimPrefix(c, []byte(textHeader))...)
	}
	return out
}

// TextOf finds subtitles by number or by language.
func (f *Film) TextOf(name string) (Track, bool) {
	for _, t := range f.Text {
		if strconv.Itoa(int(t.Number)) == name || strings.EqualFold(t.language(), name) {
			return t, true
		}
	}
	return Track{}, false
}
