package mp4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/vstack/vstack/internal/vstack"
)

// Offsets of fields from their box's header, all in boxes with version and flags.
const (
	tfhdTrack  = 12 // tfhd, trex: after version and flags
	mfhdNumber = 12
	mvhdScale0 = 20 // mvhd version 0: after two times of 32 bits
	mvhdScale1 = 28 // version 1: of 64 bits
	tkhdTrack0 = 20
	tkhdTrack1 = 28
)

// JoinInits makes ftyp and moov of a file from the init chunks of its tracks. duration is
// that of the film in seconds.
func JoinInits(inits [][]byte, duration float64) ([]byte, error) {
	if len(inits) == 0 {
		return nil, fmt.Errorf("join init chunks: %w: none", vstack.ErrInvalid)
	}
	var ftyp, mvhd []byte
	var traks, trexes [][]byte
	for i, init := range inits {
		id := uint32(i + 1)
		moov, err := find(init, "moov")
		if err != nil {
			return nil, fmt.Errorf("init chunk %d: %w", id, err)
		}
		if i == 0 {
			if ftyp, err = find(init, "ftyp"); err != nil {
				return nil, fmt.Errorf("init chunk %d: %w", id, err)
			}
			if mvhd, err = find(moov[headerSize:], "mvhd"); err != nil {
				return nil, fmt.Errorf("init chunk %d: %w", id, err)
			}
			mvhd = bytes.Clone(mvhd)
		}
		trak, trex, err := numbered(moov[headerSize:], id)
		if err != nil {
			return nil, fmt.Errorf("init chunk %d: %w", id, err)
		}
		if err := sameScale(mvhd, moov); err != nil {
			return nil, fmt.Errorf("init chunk %d: %w", id, err)
		}
		traks, trexes = append(traks, trak), append(trexes, trex)
	}
	scale, err := movieScale(mvhd)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(mvhd[len(mvhd)-4:], uint32(len(inits)+1)) // next_track_ID ends the box
	mehd := put(nil, "mehd", []byte{1, 0, 0, 0}, binary.BigEndian.AppendUint64(nil, uint64(math.Round(duration*float64(scale)))))
	mvex := put(nil, "mvex", append([][]byte{mehd}, trexes...)...)
	body := append([][]byte{mvhd}, traks...)
	return put(bytes.Clone(ftyp), "moov", append(body, mvex)...), nil
}

// numbered returns copies of a movie's only trak and trex with the given track number.
func numbered(moov []byte, id uint32) (trak, trex []byte, err error) {
	if trak, err = find(moov, "trak"); err != nil {
		return nil, nil, err
	}
	trak = bytes.Clone(trak)
	tkhd, err := find(trak[headerSize:], "tkhd")
	if err != nil {
		return nil, nil, err
	}
	at := tkhdTrack0
	if tkhd[headerSize] == 1 {
		at = tkhdTrack1
	}
	if err := setU32(tkhd, at, id); err != nil {
		return nil, nil, err
	}
	mvex, err := find(moov, "mvex")
	if err != nil {
		return nil, nil, err
	}
	if trex, err = find(mvex[headerSize:], "trex"); err != nil {
		return nil, nil, err
	}
	trex = bytes.Clone(trex)
	return trak, trex, setU32(trex, tfhdTrack, id)
}

// movieScale is the clock of a movie: edit lists count their lengths in it.
func movieScale(mvhd []byte) (uint32, error) {
	at := mvhdScale0
	if len(mvhd) > headerSize && mvhd[headerSize] == 1 {
		at = mvhdScale1
	}
	if at+4 > len(mvhd) {
		return 0, fmt.Errorf("box mvhd: %w: %d bytes", vstack.ErrCorrupt, len(mvhd))
	}
	return binary.BigEndian.Uint32(mvhd[at:]), nil
}

// sameScale refuses a track whose movie has another clock, so that no edit list is
// misread. FFmpeg gives every movie the same one.
func sameScale(mvhd, moov []byte) error {
	other, err := find(moov[headerSize:], "mvhd")
	if err != nil {
		return err
	}
	want, err := movieScale(mvhd)
	if err != nil {
		return err
	}
	got, err := movieScale(other)
	if err == nil && got != want {
		err = fmt.Errorf("movie clock: %w: %d, that of the first track is %d", vstack.ErrMediaUnfit, got, want)
	}
	return err
}

// Renumber gives every fragment in b the track number id and sequence numbers from
// first on. b is whole boxes and is not changed; the result has the same length and
// shares b's media data.
func Renumber(b []byte, id, first uint32) ([][]byte, error) {
	var out [][]byte
	err := walk(b, func(kind string, box []byte) error {
		if kind == "moof" {
			box = bytes.Clone(box)
			if err := renumberMoof(box, id, first); err != nil {
				return err
			}
			first++
		}
		out = append(out, box)
		return nil
	})
	return out, err
}

func renumberMoof(moof []byte, id, number uint32) error {
	return walk(moof[headerSize:], func(kind string, box []byte) error {
		switch kind {
		case "mfhd":
			return setU32(box, mfhdNumber, number)
		case "traf":
			tfhd, err := find(box[headerSize:], "tfhd")
			if err != nil {
				return err
			}
			return setU32(tfhd, tfhdTrack, id)
		}
		return nil
	})
}

// Reference is one entry of an index: a run of bytes that starts with a fragment of the
// track that it is of.
type Reference struct {
	Size     uint32 // bytes, below 1<<31
	Duration uint32 // ticks of the track
	Key      bool   // it starts with a keyframe
}

// MaxReferences bounds an index.
const MaxReferences = 1<<16 - 1

// Index makes the sidx box of a track, so that a player seeks without reading all. start
// is the first presentation time, first how many bytes lie between the box and the first
// of the referenced ones.
func Index(track, timescale uint32, start, first int64, refs []Reference) ([]byte, error) {
	if len(refs) > MaxReferences {
		return nil, fmt.Errorf("index: %w: %d references, want at most %d", vstack.ErrTooLarge, len(refs), MaxReferences)
	}
	var b []byte
	b = append(b, 1, 0, 0, 0) // version 1: 64-bit times
	b = binary.BigEndian.AppendUint32(b, track)
	b = binary.BigEndian.AppendUint32(b, timescale)
	b = binary.BigEndian.AppendUint64(b, uint64(start))
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = binary.BigEndian.AppendUint32(b, uint32(len(refs)))
	for _, r := range refs {
		sap := uint32(0)
		if r.Key {
			sap = 1<<31 | 1<<28 // starts with a stream access point of type 1
		}
		b = binary.BigEndian.AppendUint32(b, r.Size&(1<<31-1))
		b = binary.BigEndian.AppendUint32(b, r.Duration)
		b = binary.BigEndian.AppendUint32(b, sap)
	}
	return put(nil, "sidx", b), nil
}
