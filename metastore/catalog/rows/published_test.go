package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/published"
	"github.com/vstack/vstack/metastore/manifest"
)

// publishedRow is a video with two tracks of so many chunks.
func publishedRow(chunks int) *Video {
	tr := vstack.Track{Number: 3, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 90000, FrameRate: 29.97, Init: vstack.ChunkRef{ID: vstack.ChunkID{9}, Size: 600}}
	for i := range chunks {
		tr.Chunks = append(tr.Chunks, vstack.ChunkRef{Seq: uint32(i + 1), ID: vstack.ChunkID{7, 1, byte(i >> 8), byte(i)}, Size: 1000, Start: int64(i) * 9000, Duration: 9000})
	}
	m := &vstack.Manifest{Version: 1, Video: vstack.VideoID{2, 0, 1}, Duration: 0.1 * float64(chunks), Tracks: []vstack.Track{tr, tr}}
	m.Tracks[1].Number, m.Tracks[1].Kind = 4, vstack.TrackAudio
	m.Tracks[0].Chunks[chunks-1].Keyframe = true
	m.Tracks[0].Chunks[0].Start = -5
	return &Video{Video: vstack.Video{ID: m.Video, Title: "t", State: vstack.VideoPublished}, Upload: vstack.UploadID{3, 0, 1}, Created: 7, Manifest: m}
}

// tableRow is publishedRow with a manifest of version 2.
func tableRow(chunks int) *Video {
	r := publishedRow(chunks)
	r.Manifest.Version = vstack.ManifestTable
	for i := range r.Manifest.Tracks {
		t := &r.Manifest.Tracks[i]
		t.Chunks = slices.Clone(t.Chunks)
		t.Init.Leaves[3], t.Default = 7, true
		c := &t.Chunks[0]
		c.Leaves[0], c.Keyframe = 9, true
		c.Fragments = []vstack.Fragment{{Size: 400, Duration: 4000, Keyframe: true, CutPoint: true, Lead: 99}, {Size: 600, Duration: 5000}}
	}
	return r
}

// AppendPublished is the whole form by both ways: spliced of row and blob, and of a row that has
// its bare manifest in it, as programs before vstack.LevelManifests made it.
func AppendPublished(b []byte, r *Video) ([]byte, error) {
	bare := *r
	bare.Manifest = manifest.Bare(r.Manifest)
	want, err := published.Append(b, &bare, r.Manifest)
	if err != nil {
		return nil, err
	}
	parted := *r
	blob, err := parted.Part()
	if err != nil {
		return nil, err
	}
	m, err := DecodeBlob(blob, parted.ManifestDigest())
	if err != nil {
		return nil, err
	}
	row, err := json.Marshal(&parted)
	if err != nil {
		return nil, err
	}
	got, err := Splice(b, row, blob)
	if err != nil || !bytes.Equal(got, want) {
		return nil, fmt.Errorf("spliced it has %d bytes, want %d, or others: %v", len(got), len(want), err)
	}
	frame, err := AppendParted(nil, &parted)
	if err != nil {
		return nil, err
	}
	p, err := ParseParted(frame)
	if err != nil {
		return nil, err
	}
	if again, err := p.Decode(); err != nil || !cmp.Equal(again, &parted, cmp.AllowUnexported(Video{}), cmpopts.EquateEmpty()) || p.WholeSize() != int64(len(got)-len(b)) {
		return nil, fmt.Errorf("parted it is %+v of %d bytes, %v", again, p.WholeSize(), err)
	}
	if _, err := DecodeBlob(blob, [32]byte{1}); !errors.Is(err, vstack.ErrCorrupt) {
		return nil, fmt.Errorf("another manifest's digest: %w", err)
	}
	if !cmp.Equal(m, r.Manifest, cmpopts.EquateEmpty()) {
		return nil, errors.New("the blob is another manifest")
	}
	return got, nil
}

func TestAPublishedVideoSurvivesItsBinaryForm(t *testing.T) {
	t.Run("version 1", func(t *testing.T) { survives(t, publishedRow(3)) })
	t.Run("version 2", func(t *testing.T) { survives(t, tableRow(3)) })
}

func survives(t *testing.T, want *Video) {
	b, err := AppendPublished(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePublished(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Video{})); d != "" {
		t.Error(d)
	}
	for cut := range len(b) {
		if _, err := DecodePublished(b[:cut]); err == nil {
			t.Fatalf("%d of %d bytes are taken for the whole", cut, len(b))
		}
	}
	for name, bad := range map[string][]byte{
		"more behind it":          append(bytes.Clone(b), 0),
		"flags of 4":              append(bytes.Clone(b[:len(b)-2]), 4, 4),
		"a length beyond the end": append([]byte{255, 255, 255, 255}, b[4:]...),
	} {
		if _, err := DecodePublished(bad); !errors.Is(err, vstack.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecodePublished wants what is accepted to be written the same again.
func FuzzDecodePublished(f *testing.F) {
	b, err := AppendPublished(nil, publishedRow(2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-3])
	if b, err = AppendPublished(nil, tableRow(2)); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodePublished(b)
		if err != nil {
			return
		}
		once, err := AppendPublished(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodePublished(once)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, again, cmpopts.IgnoreUnexported(Video{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}
