package catalog

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func publishedRow(chunks int) *videoRow {
	m := manifestOf(1, chunks)
	m.Tracks = append(m.Tracks, m.Tracks[0])
	m.Tracks[1].Number, m.Tracks[1].Kind = 4, vstack.TrackAudio
	m.Tracks[0].Chunks[chunks-1].Keyframe = true
	m.Tracks[0].Chunks[0].Start = -5
	return &videoRow{Video: vstack.Video{ID: video(1), Title: "t", State: vstack.VideoPublished}, Upload: upload(1), Created: 7, Manifest: m}
}

// tableRow is publishedRow with a manifest of version 2.
func tableRow(chunks int) *videoRow {
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

func TestAPublishedVideoSurvivesItsBinaryForm(t *testing.T) {
	t.Run("version 1", func(t *testing.T) { survives(t, publishedRow(3)) })
	t.Run("version 2", func(t *testing.T) { survives(t, tableRow(3)) })
}

func survives(t *testing.T, want *videoRow) {
	b, err := appendPublished(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodePublished(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(videoRow{})); d != "" {
		t.Error(d)
	}
	for cut := range len(b) {
		if _, err := decodePublished(b[:cut]); err == nil {
			t.Fatalf("%d of %d bytes are taken for the whole", cut, len(b))
		}
	}
	for name, bad := range map[string][]byte{
		"more behind it":          append(bytes.Clone(b), 0),
		"flags of 4":              append(bytes.Clone(b[:len(b)-2]), 4, 4),
		"a length beyond the end": append([]byte{255, 255, 255, 255}, b[4:]...),
	} {
		if _, err := decodePublished(bad); !errors.Is(err, vstack.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecodePublished wants what is accepted to be written the same again.
func FuzzDecodePublished(f *testing.F) {
	b, err := appendPublished(nil, publishedRow(2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-3])
	if b, err = appendPublished(nil, tableRow(2)); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodePublished(b)
		if err != nil {
			return
		}
		once, err := appendPublished(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodePublished(once)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, again, cmpopts.IgnoreUnexported(videoRow{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

// TestVersion2IsRefusedBelowItsLevel: a member of the level before could not read it.
func TestVersion2IsRefusedBelowItsLevel(t *testing.T) {
	d := placed(t)
	u := d.must(command.OpenUpload, opening(1)).Upload
	m := manifestOf(1, 2)
	m.Version = vstack.ManifestTable
	res := d.do(command.Publish, command.PublishPayload{Upload: upload(1), Incarnation: u.Incarnation, Manifest: m}, "")
	if err := res.Err(); !errors.Is(err, vstack.ErrManifestInvalid) {
		t.Fatalf("answered %v", err)
	}
	if _, err := command.CheckManifest(m, video(1), vstack.LevelFormats); err != nil {
		t.Error(err)
	}
}
