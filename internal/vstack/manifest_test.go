package vstack

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// filmOf is a manifest of version 2 that uses every field of it.
func filmOf() *Manifest {
	id := func(b byte) ChunkID { return ChunkID{b, 0xaa} }
	root := func(b byte) LeafRoot { return LeafRoot{b, 0xbb} }
	return &Manifest{Version: ManifestTable, Video: VideoID{1, 2, 3}, Duration: 8.5, Tracks: []Track{
		{
			Number: 0, Kind: TrackVideo, Codec: "avc1.640028", Name: "source", Language: "und", Copied: true, Timescale: 90000,
			Width: 720, Height: 576, FrameRate: 25, Bitrate: 1_600_000,
			Init: ChunkRef{ID: id(1), Size: 700, Keyframe: true, Leaves: root(1)},
			Chunks: []ChunkRef{
				{Seq: 1, ID: id(2), Size: 3000, Start: -1800, Duration: 360_000, Keyframe: true, Leaves: root(2), Fragments: []Fragment{
					{Size: 2000, Lead: 900, Duration: 180_000, Keyframe: true, CutPoint: true},
					{Size: 1000, Duration: 180_000},
				}},
				{Seq: 2, ID: id(3), Size: 500, Start: 358_200, Duration: 1 << 40, Leaves: root(3), Fragments: []Fragment{{Size: 500, Duration: 1 << 40}}},
			},
			TrackDetails: TrackDetails{DisplayWidth: 1024, DisplayHeight: 576, SampleAspect: Ratio{64, 45}, HDR: "hlg", Default: true,
				Colour: Colour{Primaries: 9, Transfer: 18, Matrix: 9, FullRange: true, BitDepth: 10}},
		},
		{
			Number: 1, Kind: TrackAudio, Codec: "mp4a.40.2", Language: "de-CH", Timescale: 48000, SampleRate: 48000, Channels: 6, Bitrate: 384_000,
			Init:         ChunkRef{ID: id(4), Size: 650},
			Chunks:       []ChunkRef{{Seq: 1, ID: id(5), Size: 40_000, Duration: 408_000, Keyframe: true}},
			TrackDetails: TrackDetails{ChannelLayout: "5.1(side)", Default: true},
		},
		{
			Number: 2, Kind: TrackText, Codec: "wvtt", Language: "fr", Timescale: 1000,
			Chunks:       []ChunkRef{{Seq: 1, ID: id(6), Size: 900, Duration: 8500}},
			TrackDetails: TrackDetails{Forced: true},
		},
		{
			Number: 3, Kind: TrackImage, Codec: "jpeg", Timescale: 1, Width: 1600, Height: 900,
			Chunks:       []ChunkRef{{Seq: 1, ID: id(7), Size: 80_000, Duration: 8}},
			TrackDetails: TrackDetails{Columns: 10, Rows: 10},
		},
		{Number: 64, Kind: TrackOriginal, Name: "original", Copied: true, Chunks: []ChunkRef{{Seq: 1, ID: id(8), Size: ChunkSize, Leaves: root(8)}}},
	}}
}

// expanded is a manifest as plain JSON, for readers of the table in other languages.
func expanded(m *Manifest) any {
	type chunk struct {
		ChunkRef
		Leaves    LeafRoot   `json:"leaves,omitzero"`
		Fragments []Fragment `json:"fragments,omitempty"`
	}
	type track struct {
		Number uint16  `json:"number"`
		Init   *chunk  `json:"init,omitempty"`
		Chunks []chunk `json:"chunks"`
	}
	full := func(c ChunkRef) chunk { return chunk{c, c.Leaves, c.Fragments} }
	var out []track
	for _, t := range m.Tracks {
		x := track{Number: t.Number}
		if !t.Init.ID.IsZero() {
			in := full(t.Init)
			x.Init = &in
		}
		for _, c := range t.Chunks {
			x.Chunks = append(x.Chunks, full(c))
		}
		out = append(out, x)
	}
	return out
}

// TestVersion2HasTheBytesOfTheGoldenFiles holds the table and the JSON around it to files
// that the browser's code reads too: manifest2.json is what members answer,
// manifest2.table its table, manifest2.chunks.json what the table says.
func TestVersion2HasTheBytesOfTheGoldenFiles(t *testing.T) {
	m := filmOf()
	table, err := AppendTable(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if size, fragments := TableSize(m); size != len(table) || fragments != 3 {
		t.Errorf("TableSize says %d bytes, %d fragments of a table of %d bytes", size, fragments, len(table))
	}
	golden(t, "manifest2.table", table)
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest2.json", append(b, '\n'))
	x, err := json.MarshalIndent(expanded(m), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest2.chunks.json", append(x, '\n'))

	var back Manifest
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, &back) {
		t.Errorf("came back as %+v", back)
	}
}

// TestVersion1IsWrittenAsEver compares with what cc9200c wrote: members of both levels hash
// this JSON into one checksum.
func TestVersion1IsWrittenAsEver(t *testing.T) {
	m := Manifest{Version: 1, Video: VideoID{7}, Duration: 2.5, Tracks: []Track{
		{Number: 0, Kind: TrackVideo, Codec: "a<b", Timescale: 90000, Width: 640, Height: 360, FrameRate: 29.97, Bitrate: 5,
			Init:   ChunkRef{ID: ChunkID{1}, Size: 600},
			Chunks: []ChunkRef{{Seq: 1, ID: ChunkID{2}, Size: 9, Start: -3, Duration: 4, Keyframe: true}}},
		{Number: 64, Kind: TrackOriginal, Copied: true},
	}}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest1.json", b)
	var back Manifest
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(m, back) {
		t.Errorf("came back as %+v, %v", back, err)
	}
}

func TestAManifestIsTakenWholeOrNotAtAll(t *testing.T) {
	whole, err := json.Marshal(filmOf())
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"an unknown field":             `{"version":1,"video":"07000000-0000-0000-0000-000000000000","duration":1,"tracks":[],"colour":1}`,
		"an unknown field of a track":  `{"version":1,"tracks":[{"number":1,"smell":2}]}`,
		"a table in version 1":         `{"version":1,"tracks":[],"table":""}`,
		"an empty table":               `{"version":2,"tracks":[],"table":""}`,
		"chunks beside the table":      strings.Replace(string(whole), `"number":64,`, `"number":64,"chunks":[{"seq":1}],`, 1),
		"an init chunk beside it":      strings.Replace(string(whole), `"number":64,`, `"number":64,"init":{"seq":0,"id":"`+ChunkID{1}.String()+`"},`, 1),
		"a track that the table lacks": strings.Replace(string(whole), `"number":64,`, `"number":65,`, 1),
		"a ratio that is none":         strings.Replace(string(whole), `64:45`, `64:045`, 1),
	} {
		m := Manifest{Duration: 42}
		if err := json.Unmarshal([]byte(b), &m); err == nil {
			t.Errorf("%s: taken as %+v", name, m)
		}
		if m.Duration != 42 {
			t.Errorf("%s: changed what was there", name)
		}
	}
}

func TestATableIsReadWholeOrNotAtAll(t *testing.T) {
	table, err := AppendTable(nil, filmOf())
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) error { return ReadTable(b, bareOf(filmOf())) }
	if err := read(table); err != nil {
		t.Fatal(err)
	}
	for cut := range len(table) {
		if read(table[:cut]) == nil {
			t.Fatalf("%d of %d bytes are taken for the whole", cut, len(table))
		}
	}
	if read(append(bytes.Clone(table), 0)) == nil {
		t.Error("a byte behind it is taken")
	}
	for at := range tableHeader + tableTrack {
		bad := bytes.Clone(table)
		bad[at] ^= 0x80
		if read(bad) == nil {
			t.Errorf("byte %d changed is taken", at)
		}
	}
	if err := ReadTable(table, filmOf()); err == nil {
		t.Error("tracks that have chunks are given others")
	}
	swapped := filmOf()
	swapped.Tracks[0].Chunks[1].Seq = 3
	if _, err := AppendTable(nil, swapped); err == nil {
		t.Error("a chunk out of its place is written")
	}
	large := filmOf()
	large.Tracks[0].Chunks = make([]ChunkRef, MaxManifest/tableChunk)
	if _, err := AppendTable(nil, large); err == nil {
		t.Error("a table above the limit is written")
	}
}

func bareOf(m *Manifest) *Manifest {
	for i := range m.Tracks {
		m.Tracks[i].Init, m.Tracks[i].Chunks = ChunkRef{}, nil
	}
	return m
}

// FuzzReadTable wants what is accepted to be written the same again: a table has one form.
func FuzzReadTable(f *testing.F) {
	table, err := AppendTable(nil, filmOf())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table)
	f.Add(table[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		m := bareOf(filmOf())
		if ReadTable(b, m) != nil {
			return
		}
		again, err := AppendTable(nil, m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
	})
}
