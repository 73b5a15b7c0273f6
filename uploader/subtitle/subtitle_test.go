package subtitle

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/vstack/vstack/internal/vstack"
)

const srt = "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Grüße</i> & <b>mehr</b>\r\nzweite Zeile\r\n\r\n2\r\n00:01:30,000 --> 00:01:31,000\r\nEnde\r\n"

const wantSRT = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\n<i>Grüße</i> &amp; <b>mehr</b>\nzweite Zeile\n\n00:01:30.000 --> 00:01:31.000\nEnde\n"

func TestWhatPeopleHaveBecomesWebVTT(t *testing.T) {
	latin, err := charmap.Windows1252.NewEncoder().String(srt)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(srt)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"SubRip":                 {srt, wantSRT},
		"with a mark":            {"\ufeff" + srt, wantSRT},
		"Windows-1252":           {latin, wantSRT},
		"UTF-16":                 {wide, wantSRT},
		"WebVTT with styles":     {"WEBVTT\n\nSTYLE\n::cue { color: red }\n\nNOTE of the author\n\nid\n00:01.000 --> 00:02.000 align:start\n<v Anna>Hi\n", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000 align:start\n<v Anna>Hi\n"},
		"WebVTT of its own":      {wantSRT, wantSRT},
		"ASS":                    {"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}One{\\i0}\\NTwo\n", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nOne\nTwo\n"},
		"TTML":                   {`<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="00:00:01.000" end="00:00:02.000">One</p></div></body></tt>`, "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nOne\n"},
		"out of order, backward": {"2\n00:00:05,000 --> 00:00:06,000\nB\n\n1\n00:00:01,000 --> 00:00:02,000\nA\n\n3\n00:00:08,000 --> 00:00:07,000\nC\n", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nA\n\n00:00:05.000 --> 00:00:06.000\nB\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if s := string(got.Bytes()); s != tc.want {
				t.Errorf("got %q\nwant %q", s, tc.want)
			}
			again, err := Parse(got.Bytes())
			if err != nil || string(again.Bytes()) != tc.want {
				t.Errorf("what was written reads as %q, %v", again.Bytes(), err)
			}
		})
	}
}

func TestWhatIsNoSubtitlesIsRefused(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":            "",
		"a letter":           "Dear all,\n",
		"bytes":              "\x00\x01\x02 --> \x03",
		"no cue":             "WEBVTT\n\n",
		"a time without end": "WEBVTT\n\n00:01.000 -->\nHi\n",
		"too much":           strings.Repeat("x", MaxBytes+1),
		"only blanks":        "1\n00:00:01,000 --> 00:00:02,000\n \n",
	} {
		if got, err := Parse([]byte(in)); !errors.Is(err, vstack.ErrFormInvalid) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestChunksEndWhereNothingIsShown(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	text := Text{{at(1), at(2), "a"}, {at(50), at(70), "b"}, {at(65), at(66), "c"}, {at(75), at(80), "d"}, {at(200), at(201), "e"}}
	got := text.Chunks(at(300))
	want := []Chunk{
		{0, at(75), []byte("WEBVTT\n\na\n\nb\n\nc\n")},
		{at(75), at(200), []byte("WEBVTT\n\nd\n")},
		{at(200), at(300), []byte("WEBVTT\n\ne\n")},
	}
	if len(got) != len(want) {
		t.Fatalf("%d chunks, want %d: %q", len(got), len(want), got)
	}
	for i := range got {
		if got[i].Start != want[i].Start || got[i].End != want[i].End || string(got[i].Data) != string(want[i].Data) {
			t.Errorf("chunk %d: %v to %v, %q", i, got[i].Start, got[i].End, got[i].Data)
		}
	}
	if last := text.Chunks(0); last[len(last)-1].End != at(201) {
		t.Errorf("a film that ends before its last cue: %v", last[len(last)-1].End)
	}
}

// FuzzParse wants whatever is accepted to read the same again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(srt))
	f.Add([]byte("WEBVTT\n\n00:01.000 --> 00:02.000\n<c.x>a<00:01.500>b</c>\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(text.Bytes())
		if err != nil || len(again) != len(text) {
			t.Fatalf("%q reads as %d cues, written %q as %d, %v", b, len(text), text.Bytes(), len(again), err)
		}
	})
}
