package fmp4

import (
	"encoding/binary"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// MaxInit bounds an init segment (ftyp and moov), in bytes.
const MaxInit = 1 << 20

// maxTimescale bounds ticks a second: finer clocks would overflow products of a long
// video's ticks.
const maxTimescale = 1_000_000_000

// Init is what a track's init segment says.
type Init struct {
	Data       []byte // ftyp and moov, with the edit list in place
	TrackID    uint32
	Handler    string // "vide" or "soun"
	Codec      string // RFC 6381
	Timescale  uint32 // ticks a second
	Language   string // ISO 639-2, "" for undetermined
	Width      int    // of the coded picture, pixels
	Height     int
	Rotation   int // clockwise degrees to turn the picture by: 0, 90, 180 or 270
	SampleRate int
	Channels   int
	EditOffset int64 // decode time of presentation time 0, in ticks

	// silence is the channel configuration of AAC LC whose holes can be filled, else 0.
	silence  int
	defaults sampleDefaults
}

// sampleDefaults are trex's: what tfhd and trun leave out.
type sampleDefaults struct {
	duration, size, flags uint32
}

// parseInit reads ftyp+moov of exactly one track.
func parseInit(data []byte) (*Init, error) {
	moov, err := mustFind(data, "moov")
	if err != nil {
		return nil, err
	}
	tracks := 0
	err = children(moov.Body, func(x box) error {
		if x.Type == "trak" {
			tracks++
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("moov: %w", err)
	}
	if tracks != 1 {
		return nil, fmt.Errorf("moov: %w: %d tracks, want 1", vstack.ErrMediaUnfit, tracks)
	}
	in := &Init{Data: data}
	trak, err := mustFind(moov.Body, "trak")
	if err != nil {
		return nil, err
	}
	for _, part := range []func(moov, trak []byte) error{in.readTkhd, in.readMdhd, in.readHdlr, in.readStsd, in.readSilence, in.readTrex} {
		if err := part(moov.Body, trak.Body); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *Init) readTkhd(_, trak []byte) error {
	x, err := mustFind(trak, "tkhd")
	if err != nil {
		return err
	}
	v, _, f := full(x)
	f.versioned(v) // creation
	f.versioned(v) // modification
	in.TrackID = f.u32()
	f.skip(4)
	f.versioned(v)  // duration
	f.skip(8 + 2*4) // reserved, layer, group, volume, reserved
	var m [9]int32
	for i := range m {
		m[i] = int32(f.u32())
	}
	const one = 1 << 16
	switch {
	case m[0] == 0 && m[1] == one && m[3] == -one && m[4] == 0:
		in.Rotation = 90
	case m[0] == -one && m[4] == -one:
		in.Rotation = 180
	case m[0] == 0 && m[1] == -one && m[3] == one && m[4] == 0:
		in.Rotation = 270
	}
	return f.check("tkhd")
}

func (in *Init) readMdhd(_, trak []byte) error {
	x, err := mustFind(trak, "mdia", "mdhd")
	if err != nil {
		return err
	}
	v, _, f := full(x)
	f.versioned(v)
	f.versioned(v)
	in.Timescale = f.u32()
	f.versioned(v)
	lang := f.u16()
	if err := f.check("mdhd"); err != nil {
		return err
	}
	if in.Timescale == 0 || in.Timescale > maxTimescale {
		return fmt.Errorf("mdhd: %w: timescale %d, want 1 to %d", vstack.ErrMediaUnfit, in.Timescale, maxTimescale)
	}
	// Three letters of five bits, each less 0x60; QuickTime's numbers below 0x400 are not letters.
	code := []byte{byte(lang>>10&31) + 0x60, byte(lang>>5&31) + 0x60, byte(lang&31) + 0x60}
	letters := lang >= 0x400
	for _, c := range code {
		letters = letters && c >= 'a' && c <= 'z'
	}
	if s := string(code); letters && s != "und" {
		in.Language = s
	}
	return nil
}

func (in *Init) readHdlr(_, trak []byte) error {
	x, err := mustFind(trak, "mdia", "hdlr")
	if err != nil {
		return err
	}
	_, _, f := full(x)
	f.skip(4)
	in.Handler = string(f.take(4))
	return f.check("hdlr")
}

func (in *Init) readTrex(moov, _ []byte) error {
	x, err := mustFind(moov, "mvex", "trex")
	if err != nil {
		return err
	}
	_, _, f := full(x)
	if id := f.u32(); id != in.TrackID && !f.short {
		return fmt.Errorf("trex: %w: track %d, want %d", vstack.ErrMediaUnfit, id, in.TrackID)
	}
	f.skip(4) // sample description index
	in.defaults = sampleDefaults{duration: f.u32(), size: f.u32(), flags: f.u32()}
	return f.check("trex")
}

// withEditOffset returns the init segment with an edit list of one entry (see the
// package comment). An edit list that is there already would contradict it.
func withEditOffset(data []byte, offset int64) ([]byte, error) {
	moov, err := mustFind(data, "moov")
	if err != nil {
		return nil, err
	}
	trak, err := mustFind(moov.Body, "trak")
	if err != nil {
		return nil, err
	}
	tkhd, err := mustFind(trak.Body, "tkhd")
	if err != nil {
		return nil, err
	}
	if _, ok := find(trak.Body, "edts"); ok {
		return nil, fmt.Errorf("edts: %w: init segment has an edit list of its own", vstack.ErrMediaUnfit)
	}
	edts := make([]byte, 44)
	be := binary.BigEndian
	be.PutUint32(edts, 44)
	copy(edts[4:], "edts")
	be.PutUint32(edts[8:], 36)
	copy(edts[12:], "elst")
	edts[16] = 1
	be.PutUint32(edts[20:], 1)
	be.PutUint64(edts[32:], uint64(offset))
	be.PutUint32(edts[40:], 1<<16)

	moovBody := moov.Offset + moov.Size - len(moov.Body)
	trakAt := moovBody + trak.Offset
	trakBody := trakAt + trak.Size - len(trak.Body)
	at := trakBody + tkhd.Offset + tkhd.Size
	out := make([]byte, 0, len(data)+len(edts))
	out = append(out, data[:at]...)
	out = append(out, edts...)
	out = append(out, data[at:]...)
	if moov.Size-len(moov.Body) != 8 || trak.Size-len(trak.Body) != 8 {
		return nil, fmt.Errorf("moov: %w: 64-bit box sizes", vstack.ErrMediaUnfit)
	}
	be.PutUint32(out[moov.Offset:], uint32(moov.Size+len(edts)))
	be.PutUint32(out[trakAt:], uint32(trak.Size+len(edts)))
	return out, nil
}
