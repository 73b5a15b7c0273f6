package catalog

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vstack/vstack/internal/vstack"
)

func publishedRow(chunks int) *videoRow {
	m := manifestOf(1, chunks)
	m.Tracks = append(m.Tracks, m.Tracks[0])
	m.Tracks[1].Number, m.Tracks[1].Kind = 4, vstack.TrackAudio
	m.Tracks[0].Chunks[chunks-1].Keyframe = true
	m.Tracks[0].Chunks[0].Start = -5
	return &videoRow{Video: vstack.Video{ID: video(1), Title: "t", State: vstack.VideoPublished}, Upload: upload(1), Created: 7, Manifest: m}
}

func TestAPublishedVideoSurvivesItsBinaryForm(t *testing.T) {
	want := publishedRow(3)
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
		"a keyframe flag of 2":    append(bytes.Clone(b[:len(b)-1]), 2),
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
