package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

// box is an MP4 box made by hand, so that the reader is not only held against FFmpeg.
func box(kind string, body ...[]byte) []byte {
	b := slices.Concat(body...)
	return slices.Concat(u32(uint32(8+len(b))), []byte(kind), b)
}

func u32(v ...uint32) (out []byte) {
	for _, x := range v {
		out = binary.BigEndian.AppendUint32(out, x)
	}
	return out
}

// film is what of an MP4 differs from one test to the other.
type film struct {
	entries [][]byte
	stsc    []byte
	samples uint32
	edits   []uint32 // duration, media time, rate of each
	trak    []byte
	mvex    []byte
}

var avc1 = box("avc1", make([]byte, 78))

// bytes is a film of one track of 100 samples of 40 ms each, 1,000 ticks a second.
func (f film) bytes() []byte {
	if f.entries == nil {
		f.entries = [][]byte{avc1}
	}
	if f.stsc == nil {
		f.stsc = u32(0, 1, 1, f.samples, 1)
	}
	edts := []byte(nil)
	if f.edits != nil {
		edts = box("edts", box("elst", u32(0, uint32(len(f.edits)/3)), u32(f.edits...)))
	}
	moov := func(at uint32) []byte {
		stbl := box("stbl", box("stsd", u32(0, uint32(len(f.entries))), slices.Concat(f.entries...)), box("stsc", f.stsc),
			box("stsz", u32(0, 1, f.samples)), box("stco", u32(0, 1, at)), box("ctts", u32(0, 1, f.samples, 80)))
		mdia := box("mdia", box("mdhd", u32(0, 0, 0, 1000, 40*f.samples, 0)), box("minf", stbl))
		return box("moov", box("mvhd", u32(0, 0, 0, 1000), make([]byte, 80)), box("trak", box("tkhd", u32(0, 0, 0, 7), make([]byte, 60)), edts, mdia, f.trak), f.mvex)
	}
	head := box("ftyp", []byte("isom"))
	at := uint32(len(head) + len(moov(0)) + 8)
	return slices.Concat(head, moov(at), box("mdat", make([]byte, f.samples)))
}

func lookAt(b []byte) (Facts, error) { return look(bytes.NewReader(b), int64(len(b))) }

func TestFilmsSayWhatKeepsThemFromBeingCopied(t *testing.T) {
	whole := film{samples: 100}
	other := box("avc1", make([]byte, 77), []byte{1})
	sinf := box("sinf", box("frma", []byte("avc1")), box("schm", u32(0), []byte("cenc"), u32(1<<16)))
	for name, tc := range map[string]struct {
		film film
		want Track
	}{
		"plain":                      {whole, Track{Descriptions: 1}},
		"an edit that shows all":     {film{samples: 100, edits: []uint32{4000, 80, 1 << 16}}, Track{Descriptions: 1, Edits: 1}},
		"an edit of no duration":     {film{samples: 100, edits: []uint32{0, 80, 1 << 16}}, Track{Descriptions: 1, Edits: 1}},
		"a late start":               {film{samples: 100, edits: []uint32{900, ^uint32(0), 1 << 16, 4000, 80, 1 << 16}}, Track{Descriptions: 1, Edits: 1}},
		"frames hidden at the end":   {film{samples: 100, edits: []uint32{3900, 80, 1 << 16}}, Track{Descriptions: 1, Edits: 1, Trimmed: true}},
		"three edits":                {film{samples: 100, edits: []uint32{9, 80, 1 << 16, 9, 200, 1 << 16, 9, 400, 1 << 16}}, Track{Descriptions: 1, Edits: 3}},
		"two descriptions":           {film{samples: 100, entries: [][]byte{avc1, other}, stsc: u32(0, 2, 1, 50, 1, 2, 50, 2)}, Track{Descriptions: 2}},
		"two, one of them used":      {film{samples: 100, entries: [][]byte{avc1, other}}, Track{Descriptions: 1}},
		"the same description twice": {film{samples: 100, entries: [][]byte{avc1, avc1}, stsc: u32(0, 2, 1, 50, 1, 2, 50, 2)}, Track{Descriptions: 1}},
		"no samples":                 {film{}, Track{Descriptions: 1, Empty: true}},
		"fragmented":                 {film{mvex: box("mvex")}, Track{Descriptions: 1}},
		"a language in full":         {film{samples: 100, trak: box("mdia", box("elng", u32(0), []byte("pt-BR\x00")))}, Track{Descriptions: 1, Language: "pt-BR"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := lookAt(tc.film.bytes())
			tc.want.Number = 7
			if err != nil || got.Tracks[7] != tc.want || len(got.Warnings) != 0 {
				t.Errorf("%+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
	for scheme, entry := range map[string][]byte{"cenc": box("encv", make([]byte, 78), sinf), "FairPlay": box("drmi", make([]byte, 78)), "Common Encryption": box("enca", make([]byte, 28))} {
		if _, err := lookAt(film{samples: 100, entries: [][]byte{entry}}.bytes()); !errors.Is(err, vstack.ErrMediaUnfit) || !strings.Contains(err.Error(), "encrypted ("+scheme) && !strings.Contains(err.Error(), scheme) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func TestBytesBehindTheLastBoxAreNoTruncation(t *testing.T) {
	whole := film{samples: 1000}.bytes()
	for name, more := range map[string]string{
		"four zeros": "\x00\x00\x00\x00", "a line end": "\r\n", "a tag": "TAG" + strings.Repeat("\x00", 125), "37 zeros": strings.Repeat("\x00", 37),
		"noise": "\x7f\xff\xff\xffnois" + strings.Repeat("x", 2000),
	} {
		if got, err := lookAt(append(slices.Clone(whole), more...)); err != nil || name != "37 zeros" && len(got.Warnings) != 1 {
			t.Errorf("%s: %v, %v", name, got.Warnings, err)
		}
	}
	for name, cut := range map[string][]byte{"inside mdat": whole[:len(whole)-1], "inside moov": whole[:100], "before mdat": whole[:len(whole)-1008]} {
		if _, err := lookAt(cut); !errors.Is(err, vstack.ErrTruncated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fragmented := slices.Concat(film{mvex: box("mvex")}.bytes(), box("moof", make([]byte, 40)), box("mdat", make([]byte, 40)))
	if got, err := lookAt(fragmented[:len(fragmented)-3]); err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "cut short") {
		t.Errorf("a recording that broke off: %v, %v", got.Warnings, err)
	}
}

func element(id string, body ...[]byte) []byte {
	b := slices.Concat(body...)
	return slices.Concat([]byte(id), []byte{0x40 | byte(len(b)>>8), byte(len(b))}, b)
}

func TestMatroskaSaysLanguageTimesAndEncryption(t *testing.T) {
	header, segment := element("\x1a\x45\xdf\xa3"), "\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"
	file := func(entries ...[]byte) []byte {
		return slices.Concat(header, []byte(segment), element("\xec", make([]byte, 30)), element("\x16\x54\xae\x6b", entries...), element("\x1f\x43\xb6\x75"))
	}
	vfw := element("\xae", element("\x86", []byte("V_MS/VFW/FOURCC")))
	german := element("\xae", element("\x86", []byte("A_AAC")), element("\x22\xb5\x9d", []byte("de-CH\x00")))
	got, err := lookAt(file(vfw, german))
	if err != nil || !got.Tracks[0].NoTimes || got.Tracks[1].NoTimes || got.Tracks[1].Language != "de-CH" {
		t.Errorf("%+v, %v", got, err)
	}
	secret := func(algo byte) []byte {
		return element("\xae", element("\x6d\x80", element("\x62\x40", element("\x50\x35", element("\x47\xe1", []byte{algo})))))
	}
	if _, err := lookAt(file(secret(5))); !errors.Is(err, vstack.ErrMediaUnfit) {
		t.Errorf("encrypted: %v", err)
	}
	if _, err := lookAt(file(secret(0))); err != nil {
		t.Errorf("signed: %v", err)
	}
}

// packet is one of a transport stream; a full one has no room for stuffing.
func packet(pid uint16, scrambled, full bool) []byte {
	control := byte(0x30)
	if full {
		control = 0x10
	}
	if scrambled {
		control |= 0x80
	}
	return append([]byte{0x47, byte(pid >> 8), byte(pid), control}, make([]byte, tsPacket-4)...)
}

func TestTransportStreamsAreLookedAtFromBothEnds(t *testing.T) {
	clear := slices.Concat(bytes.Repeat(packet(256, false, true), 20), packet(256, false, false))
	for name, tc := range map[string]struct {
		stream []byte
		torn   bool
	}{
		"whole": {clear, false}, "inside a packet": {clear[:len(clear)-100], true}, "inside a frame": {clear[:len(clear)-tsPacket], true},
	} {
		if got, err := lookAt(tc.stream); err != nil || got.Torn != tc.torn {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := lookAt(bytes.Repeat(packet(256, true, true), 20)); !errors.Is(err, vstack.ErrMediaUnfit) {
		t.Errorf("scrambled: %v", err)
	}
}

func TestFLVThatChangesItsCodingIsSeen(t *testing.T) {
	tag := func(config string) []byte {
		n := byte(5 + len(config))
		return slices.Concat([]byte{9, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, 0x17, 0, 0, 0, 0}, []byte(config), u32(uint32(11+n)))
	}
	head := append([]byte("FLV\x01\x05\x00\x00\x00\x09"), 0, 0, 0, 0)
	for want, configs := range map[int][]string{1: {"aa", "aa"}, 2: {"aa", "bb", "aa"}} {
		b := slices.Clone(head)
		for _, c := range configs {
			b = append(b, tag(c)...)
		}
		if got, err := lookAt(b); err != nil || got.Tracks[0].Descriptions != want {
			t.Errorf("%q: %+v, %v", configs, got, err)
		}
	}
}

func TestWhatIsNoFilmIsNamed(t *testing.T) {
	for head, want := range map[string]string{
		"GIF89a\x01\x00":                               "GIF pictures",
		"\x89PNG\r\n\x1a\n\x00":                        "PNG pictures",
		"\xff\xd8\xff\xe0\x00\x10JFIF":                 "JPEG pictures",
		"\x1f\x8b\x08\x00":                             "gzip archives",
		"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n":  "playlists",
		"<?xml version=\"1.0\"?>\n<MPD xmlns=\"x\">":   "DASH",
		"1\n00:00:00,000 --> 00:00:02,000\nHello\n\n":  "subtitles",
		"\xef\xbb\xbfWEBVTT\n\n":                       "subtitles",
		"<!DOCTYPE html><html>":                        "web pages",
		"Dear diary, ":                                 "text files",
		"#!/bin/sh\n":                                  "scripts",
		"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1": "HEIF pictures",
		"%PDF-1.7": "PDF documents",
		"ffconcat version 1.0\nfile /etc/passwd\n":  "lists of other files",
		"RIFF\x00\x00\x00\x00WEBPVP8 ":              "WebP pictures",
		strings.Repeat("\x00", 257) + "ustar\x0000": "tar archives",
	} {
		if _, err := lookAt([]byte(head)); !errors.Is(err, vstack.ErrNotMedia) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", head[:min(len(head), 12)], err, want)
		}
	}
	for _, head := range []string{"#!AMR\n\x3c\x91", "RIFF\x24\x00\x00\x00WAVEfmt ", "OggS\x00\x02", "fLaC\x00", "ID3\x03\x00", "FORM\x00\x00\x00\x00AIFF", "\x00\x00\x01\xba"} {
		if _, err := lookAt([]byte(head)); err != nil {
			t.Errorf("%q: %v", head, err)
		}
	}
}

func TestEmptyAndMissingFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(source.Vault{}, path); !errors.Is(err, vstack.ErrNotMedia) {
		t.Errorf("empty: %v", err)
	}
	if _, err := Look(source.Vault{}, path+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func FuzzLook(f *testing.F) {
	f.Add(film{samples: 3, edits: []uint32{4000, 80, 1 << 16}}.bytes())
	f.Add([]byte("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x10"))
	f.Add(slices.Concat([]byte("\x1a\x45\xdf\xa3\x40\x00\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"), element("\x16\x54\xae\x6b", element("\xae", element("\x86", []byte("A"))))))
	f.Add(bytes.Repeat(packet(256, false, true), 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		if _, err := lookAt(b); err != nil && !errors.Is(err, vstack.ErrTruncated) && !errors.Is(err, vstack.ErrNotMedia) && !errors.Is(err, vstack.ErrMediaUnfit) {
			t.Fatal(err)
		}
	})
}
