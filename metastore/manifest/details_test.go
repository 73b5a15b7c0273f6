package manifest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// film is a manifest of version 2 with a chunk of two fragments among its three.
func film() *vstack.Manifest {
	m := manifestOf(1, 3)
	m.Version = vstack.ManifestTable
	t := &m.Tracks[0]
	t.Language = "pt-BR"
	t.Init.Leaves[0] = 1
	t.TrackDetails = vstack.TrackDetails{DisplayWidth: 1024, DisplayHeight: 576, SampleAspect: vstack.Ratio{Num: 64, Den: 45}, HDR: "dolby_vision_8.1", Default: true}
	c := &t.Chunks[1]
	c.Keyframe, c.Leaves[0] = true, 2
	c.Fragments = []vstack.Fragment{{Size: 600, Lead: 600, Duration: 9000, Keyframe: true, CutPoint: true}, {Size: 400}}
	text := vstack.Track{Number: 4, Kind: vstack.TrackText, Codec: "wvtt", Timescale: 1000, Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkID{5}, Size: 10, Duration: 300}}}
	tiles := vstack.Track{Number: 5, Kind: vstack.TrackImage, Codec: "jpeg", Timescale: 1, Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkID{6}, Size: 10, Duration: 1}}}
	tiles.Columns, tiles.Rows = 10, 10
	m.Tracks = append(m.Tracks, text, tiles)
	return m
}

func TestVersion2IsAcceptedWithAllThatItSays(t *testing.T) {
	s, err := Check(film(), video(1))
	if err != nil || s.Chunks != 6 || s.Size != 600+3*1000+20 {
		t.Fatalf("%+v, %v", s, err)
	}
	plain := manifestOf(1, 3) // fragments and leaves are not known of every chunk
	plain.Version = vstack.ManifestTable
	if _, err := Check(plain, video(1)); err != nil {
		t.Error(err)
	}
}

func TestVersion2IsRefusedWhereItContradictsItself(t *testing.T) {
	first := func(m *vstack.Manifest) *vstack.Track { return &m.Tracks[0] }
	second := func(m *vstack.Manifest) *vstack.ChunkRef { return &m.Tracks[0].Chunks[1] }
	for name, spoil := range map[string]func(*vstack.Manifest){
		"half a display size":        func(m *vstack.Manifest) { first(m).DisplayHeight = 0 },
		"a giant display":            func(m *vstack.Manifest) { first(m).DisplayWidth = maxDimension + 1 },
		"a ratio by zero":            func(m *vstack.Manifest) { first(m).SampleAspect.Den = 0 },
		"tiles of a video":           func(m *vstack.Manifest) { first(m).Columns, first(m).Rows = 1, 1 },
		"columns without rows":       func(m *vstack.Manifest) { m.Tracks[2].Rows = 0 },
		"a sentence for a layout":    func(m *vstack.Manifest) { first(m).ChannelLayout = "left and right" },
		"a long kind of HDR":         func(m *vstack.Manifest) { first(m).HDR = strings.Repeat("h", maxTerm+1) },
		"a language in words":        func(m *vstack.Manifest) { first(m).Language = "Swiss German" },
		"a language of long subtags": func(m *vstack.Manifest) { first(m).Language = "en-abcdefghi" },
		"a language with an end":     func(m *vstack.Manifest) { first(m).Language = "en-" },
		"depth of 64 bits":           func(m *vstack.Manifest) { first(m).Colour.BitDepth = 64 },
		"only text":                  func(m *vstack.Manifest) { m.Tracks = m.Tracks[1:2] },
		"a smell":                    func(m *vstack.Manifest) { m.Tracks[1].Kind = "smell" },
		"text without a timescale":   func(m *vstack.Manifest) { m.Tracks[1].Timescale = 0 },
		"an init chunk in fragments": func(m *vstack.Manifest) { first(m).Init.Fragments = []vstack.Fragment{{Size: 600}} },
		"video without init":         func(m *vstack.Manifest) { first(m).Init = vstack.ChunkRef{} },
		"an empty list of fragments": func(m *vstack.Manifest) { second(m).Fragments = []vstack.Fragment{} },
		"fragments of other bytes":   func(m *vstack.Manifest) { second(m).Fragments[1].Size++ },
		"fragments of other times":   func(m *vstack.Manifest) { second(m).Fragments[1].Duration++ },
		"an empty fragment": func(m *vstack.Manifest) {
			second(m).Fragments[1].Size, second(m).Fragments[0].Size = 0, 1000
		},
		"a negative duration": func(m *vstack.Manifest) {
			second(m).Fragments[1].Duration, second(m).Fragments[0].Duration = -1, 9001
		},
		"a lead beyond its fragment":   func(m *vstack.Manifest) { second(m).Fragments[0].Lead = 601 },
		"a lead without a keyframe":    func(m *vstack.Manifest) { second(m).Fragments[1].Lead = 1 },
		"a cut without a keyframe":     func(m *vstack.Manifest) { second(m).Fragments[1].CutPoint = true },
		"two words on the first frame": func(m *vstack.Manifest) { second(m).Keyframe = false },
		"an original in fragments": func(m *vstack.Manifest) {
			first(m).Kind, first(m).Init = vstack.TrackOriginal, vstack.ChunkRef{}
		},
		"sums that overflow": func(m *vstack.Manifest) {
			second(m).Duration = maxTicks
			second(m).Fragments = []vstack.Fragment{{Size: 500, Keyframe: true, Duration: maxTicks}, {Size: 500, Duration: maxTicks}}
		},
		"a table above 16 MiB": func(m *vstack.Manifest) {
			c := second(m)
			c.Size, c.Fragments = 4096, slices.Repeat([]vstack.Fragment{{Size: 1, Keyframe: true}}, 4096)
			c.Duration = 0
			many := *c
			first(m).Chunks = nil
			for i := range 250 {
				many.Seq = uint32(i + 1)
				first(m).Chunks = append(first(m).Chunks, many)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := film()
			spoil(m)
			_, err := Check(m, video(1))
			if !errors.Is(err, vstack.ErrManifestInvalid) {
				t.Errorf("answered %v", err)
			}
			t.Log(err)
		})
	}
}

func TestBothVersionsSurviveTheirBinaryForm(t *testing.T) {
	for _, m := range []*vstack.Manifest{manifestOf(1, 3), film()} {
		b, err := AppendChunks(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		back := Bare(m)
		if err := ReadChunks(b, back); err != nil {
			t.Fatalf("version %d: %v", m.Version, err)
		}
		was, err := Digest(m)
		if err != nil {
			t.Fatal(err)
		}
		if is, err := Digest(back); err != nil || is != was {
			t.Errorf("version %d: digest %x, want %x (%v)", m.Version, is, was, err)
		}
		back.Tracks[0].Chunks[1].Size++
		if is, _ := Digest(back); is == was {
			t.Errorf("version %d: the digest does not cover a chunk's size", m.Version)
		}
	}
}

// TestTheDigestOfVersion1IsAsEver: members of both levels compare it.
func TestTheDigestOfVersion1IsAsEver(t *testing.T) {
	d, err := Digest(manifestOf(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := vstack.ChunkID(d).String(), "c9d31edb5818095ddb1c6ce3383c19794cbb0976108ca40a57b744ec662c442a"; got != want {
		t.Errorf("%s, want %s as cc9200c had it", got, want)
	}
}
