package container

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// maxTraks bounds the tracks of a header that are described.
const maxTraks = 4096

// moovTrack is what is gathered of a trak box before it becomes a Track.
type moovTrack struct {
	out       Track
	timescale uint32
	duration  uint64 // of the media, its ticks
	movie     uint32 // ticks a second of the edit list's durations
	samples   uint32
	known     bool // samples was read
	firstCTS  uint32
	lastChunk uint64 // offset of the chunk that lies furthest back
	edits     []edit
	entries   [][]byte // sample descriptions, header included
	used      map[uint32]bool
}

// edit is one entry of an edit list that shows media.
type edit struct{ duration, mediaTime uint64 }

// lookMoov reads the tracks of a moov box's body. end is where the boxes end.
func (facts *Facts) lookMoov(moov []byte, end int64) error {
	fragmented, scale := false, uint32(0)
	var tracks []*moovTrack
	each(moov, func(kind string, body, _ []byte) {
		switch kind {
		case "mvhd":
			scale = be32(body, pick(body, 12, 20))
		case "mvex":
			fragmented = true
		case "trak":
			if len(tracks) < maxTraks {
				t := &moovTrack{movie: scale, used: map[uint32]bool{}}
				t.readTrak(body)
				tracks = append(tracks, t)
			}
		}
	})
	for _, t := range tracks {
		t.conclude(fragmented)
		facts.Tracks[t.out.Number] = t.out
		// The last chunk begins before its own end; that is enough to see a lost mdat.
		if !fragmented && t.lastChunk > uint64(end) {
			return fmt.Errorf("%w: its index names bytes up to %d, the file ends at byte %d", vstack.ErrTruncated, t.lastChunk, end)
		}
	}
	return nil
}

// readTrak descends into the boxes that matter.
func (t *moovTrack) readTrak(trak []byte) {
	each(trak, func(kind string, body, _ []byte) {
		switch kind {
		case "tkhd":
			t.out.Number = int(be32(body, pick(body, 12, 20)))
		case "mdhd":
			t.timescale = be32(body, pick(body, 12, 20))
			if len(body) > 0 && body[0] == 1 {
				t.duration = be64(body, 24)
			} else {
				t.duration = uint64(be32(body, 16))
			}
		case "elng":
			if len(body) > 4 {
				tag, _, _ := bytes.Cut(body[4:], []byte{0})
				t.out.Language = string(tag)
			}
		case "elst":
			t.readEdits(body)
		case "stsz", "stz2":
			t.samples, t.known = be32(body, 8), true
		case "ctts":
			t.firstCTS = be32(body, 12)
		case "stsc":
			for at := 8; at+12 <= len(body); at += 12 {
				t.used[be32(body, at+8)] = true
			}
		case "stco":
			for at := 8; at+4 <= len(body); at += 4 {
				t.lastChunk = max(t.lastChunk, uint64(be32(body, at)))
			}
		case "co64":
			for at := 8; at+8 <= len(body); at += 8 {
				t.lastChunk = max(t.lastChunk, be64(body, at))
			}
		case "stsd":
			if len(body) > 8 {
				each(body[8:], func(_ string, _, whole []byte) { t.entries = append(t.entries, whole) })
			}
		case "mdia", "minf", "stbl", "edts":
			t.readTrak(body)
		}
	})
}

func (t *moovTrack) readEdits(body []byte) {
	step, v1 := 12, len(body) > 0 && body[0] == 1
	if v1 {
		step = 20
	}
	for at := 8; at+step <= len(body); at += step {
		var e edit
		var time int64
		if v1 {
			e.duration, time = be64(body, at), int64(be64(body, at+8))
		} else {
			e.duration, time = uint64(be32(body, at)), int64(int32(be32(body, at+4)))
		}
		if time < 0 {
			continue // an empty edit: the track starts late
		}
		e.mediaTime = uint64(time)
		t.edits = append(t.edits, e)
	}
}

// conclude draws the facts from what was gathered.
func (t *moovTrack) conclude(fragmented bool) {
	distinct := map[string]bool{}
	for i, e := range t.entries {
		if scheme := protection(e); scheme != "" {
			t.out.Encrypted = scheme
		}
		// A fragment may name any description; a sample table says which are used.
		if fragmented || t.used[uint32(i+1)] {
			distinct[string(e)] = true
		}
	}
	t.out.Descriptions = len(distinct)
	t.out.Empty = !fragmented && t.known && t.samples == 0
	t.out.Edits = len(t.edits)
	if len(t.edits) != 1 || fragmented || t.movie == 0 || t.timescale == 0 || t.samples == 0 {
		return
	}
	// A single edit of no duration shows all.
	e := t.edits[0]
	shown := float64(e.duration) / float64(t.movie)
	media := (float64(t.duration) + float64(t.firstCTS) - float64(e.mediaTime)) / float64(t.timescale)
	frame := float64(t.duration) / float64(t.timescale) / float64(t.samples)
	// Half a frame of rounding; what AAC's encoders leave at the end is no trim.
	t.out.Trimmed = e.duration > 0 && media-shown > max(0.5*frame, 2/float64(t.movie))
}

// protection is the scheme by which samples of a description are encrypted.
func protection(entry []byte) string {
	if len(entry) < 8 {
		return ""
	}
	switch kind := string(entry[4:8]); kind {
	case "drms", "drmi", "drmt":
		return "FairPlay"
	case "encv", "enca", "enct", "encs":
		if i := bytes.Index(entry, []byte("schm")); i >= 0 && i+12 <= len(entry) {
			return "Common Encryption, " + printable(string(entry[i+8:i+12]))
		}
		return "Common Encryption"
	}
	return ""
}

// each calls visit for each box of a container's body, as far as they are whole.
func each(body []byte, visit func(kind string, body, whole []byte)) {
	for len(body) >= 8 {
		size, header := uint64(binary.BigEndian.Uint32(body)), 8
		if size == 1 && len(body) >= 16 {
			size, header = binary.BigEndian.Uint64(body[8:]), 16
		}
		if size == 0 {
			size = uint64(len(body))
		}
		if size < uint64(header) || size > uint64(len(body)) {
			return
		}
		visit(string(body[4:8]), body[header:size], body[:size])
		body = body[size:]
	}
}

// pick is the offset of a field in version 0 or in version 1 of a full box.
func pick(body []byte, v0, v1 int) int {
	if len(body) > 0 && body[0] == 1 {
		return v1
	}
	return v0
}

// be32 and be64 read big-endian fields; what lies past the end is 0.
func be32(b []byte, at int) uint32 {
	if at < 0 || at+4 > len(b) {
		return 0
	}
	return binary.BigEndian.Uint32(b[at:])
}

func be64(b []byte, at int) uint64 { return uint64(be32(b, at))<<32 | uint64(be32(b, at+4)) }
