package catalog

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/catalog/frame"
)

func (d *driver) raise(level vstack.Level) {
	d.must(command.RaiseLevel, command.RaiseLevelPayload{Level: level})
}

func TestRaisingTheLevel(t *testing.T) {
	d := placed(t)
	if got := d.c.View().Level(); got != vstack.LevelFirst {
		t.Fatalf("a catalog without one is at level %d", got)
	}
	d.raise(vstack.LevelFormats)
	d.raise(vstack.LevelFirst) // late, of another leader
	d.raise(vstack.LevelFormats)
	if got := d.c.View().Level(); got != vstack.LevelFormats {
		t.Errorf("level %d after a raise and a repeat", got)
	}
	if got := d.c.View().FeedIndex(); got != d.index-2 {
		t.Errorf("followers are told at %d, want at the raise, %d", got, d.index-2)
	}
}

func TestALevelThatTheProgramDoesNotKnowHaltsTheMember(t *testing.T) {
	c, fatal := newHaltable(t)
	c.Apply(entry(t, 1, command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.NewestLevel + 1}, ""))
	if !errors.Is(*fatal, vstack.ErrLevelTooOld) {
		t.Errorf("halted by %v", *fatal)
	}
	d := placed(t)
	d.raise(vstack.LevelFormats)
	b := snapshotOf(t, d.c)
	newer := bytes.Replace(b, []byte(`"level":2`), []byte(`"level":9`), 1)
	if bytes.Equal(b, newer) {
		t.Fatal("the snapshot does not say its level")
	}
	_, err := ReadSnapshot(bytes.NewReader(fixMeta(newer)))
	if !errors.Is(err, vstack.ErrLevelTooOld) {
		t.Errorf("a snapshot of a newer program: %v", err)
	}
}

// fixMeta makes the CRC of a snapshot's first frame right.
func fixMeta(b []byte) []byte {
	at := len(form.Magic)
	n := int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16
	sum := frame.CRC(form.Meta, b[at+frame.HeaderLen:at+frame.HeaderLen+n])
	for i := range 4 {
		b[at+4+i] = byte(sum >> (8 * i))
	}
	return b
}

// TestTextsLeaveTheChecksumWithTheLevel: two programs that word a refusal differently come
// to one checksum from the new level on, and to two below it.
func TestTextsLeaveTheChecksumWithTheLevel(t *testing.T) {
	reworded := func(level vstack.Level) (same bool) {
		a, b := placed(t), placed(t)
		for _, d := range []*driver{a, b} {
			d.raise(level)
			d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(9)}, "r")
		}
		// As a program with other words would have remembered it.
		row := *b.c.requests["r"]
		old := row.Checksum()
		row.Result.Detail = "in other words"
		row.Seal(level)
		meta := *b.c.View().meta
		meta.Sum = meta.Sum.Minus(old).Plus(row.Checksum())
		theirs, err := (&View{txn: b.c.View().txn, meta: &meta}).Checksum()
		if err != nil {
			t.Fatal(err)
		}
		return theirs == checksum(t, a.c)
	}
	if reworded(vstack.LevelFirst) {
		t.Error("below the level, texts do not count: members of two programs would not notice that they differ")
	}
	if !reworded(vstack.LevelFormats) {
		t.Error("from the level on, texts count")
	}
}

// TestAnswersFromBeforeTheRaiseAreCountedAnew: a member that applied the raise and one that
// restored a snapshot from after it have one checksum.
func TestAnswersFromBeforeTheRaiseAreCountedAnew(t *testing.T) {
	d := placed(t)
	d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(9)}, "before")
	before := d.c.View()
	sum, err := before.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	d.raise(vstack.LevelFormats)
	d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(8)}, "after")
	restored := newCatalog(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if got, want := checksum(t, restored), checksum(t, d.c); got != want {
		t.Errorf("restored to %s, want %s", got, want)
	}
	if again, _ := before.Checksum(); again != sum {
		t.Error("a view from before changed")
	}
	res := d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(7)}, "before")
	if !strings.Contains(res.Detail, video(9).String()) {
		t.Errorf("the repeat of a request from before is answered %+v", res)
	}
}

func TestABackupIsRestoredAtTheClustersLevel(t *testing.T) {
	d := placed(t)
	d.do(command.DeleteVideo, command.DeleteVideoPayload{Video: video(9)}, "before")
	v, err := Rebase(bytes.NewReader(snapshotOf(t, d.c)), 1000, vstack.LevelFormats, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if v.Level() != vstack.LevelFormats {
		t.Errorf("level %d", v.Level())
	}
	var b bytes.Buffer
	if err := v.Write(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSnapshot(&b); err != nil { // its checksum is that of the level
		t.Error(err)
	}
}

func TestAnUploadLearnsItsSourceWhenItIsPublished(t *testing.T) {
	opened := opening(1)
	opened.Source.SHA256, opened.Source.Size = vstack.ChunkID{}, 0
	source := &wire.PublishedSource{Size: 77, SHA256: vstack.ChunkID{7}}
	publish := func(d *driver, s *wire.PublishedSource) *command.Result {
		return d.do(command.Publish, command.PublishPayload{Upload: upload(1), Incarnation: 1, Manifest: manifestOf(1, 1), Source: s}, "")
	}
	t.Run("from the level on", func(t *testing.T) {
		d := placed(t)
		d.raise(vstack.LevelFormats)
		d.must(command.OpenUpload, opened)
		for _, bad := range []*wire.PublishedSource{{Size: 77}, {SHA256: vstack.ChunkID{7}}, {Size: -1, SHA256: vstack.ChunkID{7}}} {
			if err := publish(d, bad).Err(); !errors.Is(err, vstack.ErrInvalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		res := publish(d, source)
		if res.Err() != nil || res.Video.Source.Size != 77 || res.Video.Source.SHA256 != source.SHA256 || res.Video.Source.Name != "a.mp4" {
			t.Fatalf("answered %+v, %v", res.Video, res.Err())
		}
		found, _ := d.c.View().Uploads("", source.SHA256, 0, 10)
		if len(found) != 1 || found[0].Source.Size != 77 {
			t.Errorf("uploads of the source: %+v", found)
		}
		if again := publish(d, source); again.Err() != nil {
			t.Errorf("the same again: %v", again.Err())
		}
	})
	t.Run("not below it", func(t *testing.T) {
		d := placed(t)
		d.must(command.OpenUpload, opened)
		if err := publish(d, source).Err(); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("answered %v", err)
		}
		if err := publish(d, nil).Err(); err != nil {
			t.Error(err)
		}
	})
	t.Run("and it stays what was said at first", func(t *testing.T) {
		d := placed(t)
		d.raise(vstack.LevelFormats)
		d.must(command.OpenUpload, opening(1))
		if err := publish(d, source).Err(); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("answered %v", err)
		}
	})
}

// tableManifest is one of version 2, of two tracks of so many chunks.
func tableManifest(chunks int) *vstack.Manifest {
	m := manifestOf(1, chunks)
	m.Version = vstack.ManifestTable
	m.Tracks = append(m.Tracks, m.Tracks[0])
	m.Tracks[1].Number, m.Tracks[1].Kind = 4, vstack.TrackAudio
	m.Tracks[0].Chunks[chunks-1].Keyframe = true
	m.Tracks[0].Chunks[0].Start = -5
	for i := range m.Tracks {
		t := &m.Tracks[i]
		t.Chunks = slices.Clone(t.Chunks)
		t.Init.Leaves[3], t.Default = 7, true
		c := &t.Chunks[0]
		c.Leaves[0], c.Keyframe = 9, true
		c.Fragments = []vstack.Fragment{{Size: 400, Duration: 4000, Keyframe: true, CutPoint: true, Lead: 99}, {Size: 600, Duration: 5000}}
	}
	return m
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

// TestVersion2IsPublishedFromItsLevelOn and survives a snapshot.
func TestVersion2IsPublishedFromItsLevelOn(t *testing.T) {
	d := placed(t)
	d.raise(vstack.LevelFormats)
	u := d.must(command.OpenUpload, opening(1)).Upload
	m := tableManifest(3)
	res := d.must(command.Publish, command.PublishPayload{Upload: upload(1), Incarnation: u.Incarnation, Manifest: m})
	if res.Video.Chunks != 8 {
		t.Errorf("%+v", res.Video)
	}
	again := d.do(command.Publish, command.PublishPayload{Upload: upload(1), Incarnation: u.Incarnation, Manifest: m}, "")
	if again.Err() != nil {
		t.Errorf("the same manifest again: %v", again.Err())
	}
	restored := newCatalog(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	got, _, err := restored.View().Manifest(video(1))
	if err != nil || len(got.Tracks[0].Chunks[0].Fragments) != 2 || got.Tracks[0].Chunks[0].Leaves[0] != 9 {
		t.Errorf("restored %+v, %v", got, err)
	}
}

// TestASnapshotNamesManifestsFromItsLevelOnOnly: below it an older program reads what this one
// wrote, and the checksum is the same in both forms.
func TestASnapshotNamesManifestsFromItsLevelOnOnly(t *testing.T) {
	d := placed(t)
	d.raise(vstack.LevelKeys)
	d.publish(1, 30)
	if !bytes.Equal(partedOf(t, d.c), snapshotOf(t, d.c)) {
		t.Error("below the level a member's snapshot is another one than a backup's")
	}
	d.raise(vstack.LevelManifests)
	whole, parted := snapshotOf(t, d.c), partedOf(t, d.c)
	if len(whole)-len(parted) < 30*57 {
		t.Errorf("%d bytes with its manifest, %d without", len(whole), len(parted))
	}
	restored, beside := newCatalog(t), newCatalog(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(whole))); err != nil || checksum(t, restored) != checksum(t, d.c) {
		t.Errorf("the whole one comes to another catalog: %v", err)
	}
	err := beside.Restore(io.NopCloser(bytes.NewReader(parted)))
	if !errors.Is(err, vstack.ErrManifestsLost) || !errors.Is(beside.Refused(), vstack.ErrManifestsLost) {
		t.Errorf("one whose manifests are not there: %v", err)
	}
	if err := restored.Restore(io.NopCloser(bytes.NewReader(parted))); err != nil || checksum(t, restored) != checksum(t, d.c) || restored.Refused() != nil {
		t.Errorf("with them beside it comes to another catalog: %v", err)
	}
	below := bytes.Replace(bytes.Clone(parted), []byte(`"level":7`), []byte(`"level":6`), 1)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(fixMeta(below)))); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("one that names a manifest below the level: %v", err)
	}
}
