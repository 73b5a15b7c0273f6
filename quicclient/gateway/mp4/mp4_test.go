package mp4

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func u32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// initOf is an init chunk of the shape that ffmpeg writes, its track numbered id.
func initOf(id, scale uint32) []byte {
	mvhd := put(nil, "mvhd", u32(0, 0, 0, scale, 0), make([]byte, 76), u32(id+1))
	trak := put(nil, "trak", put(nil, "tkhd", u32(3, 0, 0, id, 0, 0), make([]byte, 60)), put(nil, "mdia"))
	mvex := put(nil, "mvex", put(nil, "trex", u32(0, id, 1, 0, 0, 0)))
	return put(put(nil, "ftyp", []byte("iso6"), u32(1)), "moov", mvhd, trak, mvex)
}

func fragment(id, number uint32, media string) []byte {
	moof := put(nil, "moof", put(nil, "mfhd", u32(0, number)), put(nil, "traf", put(nil, "tfhd", u32(0x20000, id)), put(nil, "trun", u32(0))))
	return put(moof, "mdat", []byte(media))
}

func TestJoinedTracksAreNumberedInOrder(t *testing.T) {
	a, b := initOf(7, 1000), initOf(7, 1000)
	keep := bytes.Clone(a)
	out, err := JoinInits([][]byte{a, b}, 12.5)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, keep) {
		t.Error("the init chunk that is shared was changed")
	}
	moov, err := find(out, "moov")
	if err != nil {
		t.Fatal(err)
	}
	var tracks, extends []uint32
	err = walk(moov[headerSize:], func(kind string, box []byte) error {
		switch kind {
		case "mvhd":
			if got := binary.BigEndian.Uint32(box[len(box)-4:]); got != 3 {
				t.Errorf("next track number %d, want 3", got)
			}
		case "trak":
			tkhd, err := find(box[headerSize:], "tkhd")
			if err != nil {
				return err
			}
			tracks = append(tracks, binary.BigEndian.Uint32(tkhd[tkhdTrack0:]))
		case "mvex":
			return walk(box[headerSize:], func(kind string, box []byte) error {
				switch kind {
				case "mehd":
					if got := binary.BigEndian.Uint64(box[12:]); got != 12500 {
						t.Errorf("duration %d, want 12500", got)
					}
				case "trex":
					extends = append(extends, binary.BigEndian.Uint32(box[tfhdTrack:]))
				}
				return nil
			})
		}
		return nil
	})
	if err != nil || len(tracks) != 2 || tracks[0] != 1 || tracks[1] != 2 || extends[0] != 1 || extends[1] != 2 {
		t.Errorf("tracks %v, trex %v, %v", tracks, extends, err)
	}
}

func TestTracksOfAnotherClockAreRefused(t *testing.T) {
	if _, err := JoinInits([][]byte{initOf(1, 1000), initOf(1, 600)}, 1); !errors.Is(err, vstack.ErrMediaUnfit) {
		t.Errorf("got %v, want %v", err, vstack.ErrMediaUnfit)
	}
}

func TestRenumberedFragmentsKeepLengthAndMedia(t *testing.T) {
	in := append(fragment(7, 1, "first"), fragment(7, 2, "second")...)
	keep := bytes.Clone(in)
	parts, err := Renumber(in, 2, 41)
	if err != nil {
		t.Fatal(err)
	}
	got, want := bytes.Join(parts, nil), append(fragment(2, 41, "first"), fragment(2, 42, "second")...)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x\nwant %x", got, want)
	}
	if !bytes.Equal(in, keep) {
		t.Error("the chunk that is shared was changed")
	}
}

func TestAnIndexHasItsReferences(t *testing.T) {
	got, err := Index(2, 90000, 5, 7, []Reference{{Size: 10, Duration: 3, Key: true}, {Size: 20, Duration: 4}})
	want := "0000004073696478" + "01000000" + "00000002" + "00015f90" + "0000000000000005" + "0000000000000007" + "00000002" +
		"0000000a" + "00000003" + "90000000" + "00000014" + "00000004" + "00000000"
	if hex.EncodeToString(got) != want || err != nil {
		t.Errorf("%x, %v\nwant %s", got, err, want)
	}
	if _, err := Index(1, 1, 0, 0, make([]Reference, MaxReferences+1)); !errors.Is(err, vstack.ErrTooLarge) {
		t.Errorf("an index of too many references: %v", err)
	}
}

// FuzzBoxes feeds damaged init chunks and fragments: an error, never a panic, and what is
// renumbered keeps its length.
func FuzzBoxes(f *testing.F) {
	f.Add(initOf(1, 1000))
	f.Add(fragment(1, 1, "media"))
	f.Add([]byte{0, 0, 0, 8, 'm', 'o', 'o', 'f'})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = JoinInits([][]byte{b, b}, 1)
		parts, err := Renumber(b, 1, 1)
		if n := len(bytes.Join(parts, nil)); err == nil && n != len(b) {
			t.Errorf("%d bytes became %d", len(b), n)
		}
	})
}

// TestHEVCIsNamedAsApplesPlayersWantIt renames one sample entry and nothing else.
func TestHEVCIsNamedAsApplesPlayersWantIt(t *testing.T) {
	initWith := func(entry string) []byte {
		stsd := put(nil, "stsd", []byte{0, 0, 0, 0, 0, 0, 0, 1}, put(nil, entry, make([]byte, 78), put(nil, "hvcC", []byte{1, 2})))
		return put(nil, "moov", put(nil, "trak", put(nil, "mdia", put(nil, "minf", put(nil, "stbl", stsd)))))
	}
	in := initWith("hev1")
	keep := bytes.Clone(in)
	if got, err := HVC1(in); err != nil || !bytes.Equal(got, initWith("hvc1")) || !bytes.Equal(in, keep) {
		t.Errorf("%x, %v; the shared chunk is %x", got, err, in)
	}
	if got, err := HVC1(initWith("avc1")); err != nil || !bytes.Equal(got, initWith("avc1")) {
		t.Errorf("another codec: %x, %v", got, err)
	}
	if _, err := HVC1(put(nil, "moov")); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("an init chunk without a track: %v", err)
	}
}
