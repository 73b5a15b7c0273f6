package fmp4

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Sizes of the fixed part of a sample entry, after the box header
// (ISO/IEC 14496-12, 12.1.3 and 12.2.3).
const (
	visualEntry = 78
	audioEntry  = 28
)

// readStsd reads the first sample entry: codec, dimensions, channels.
func (in *Init) readStsd(_, trak []byte) error {
	x, err := mustFind(trak, "mdia", "minf", "stbl", "stsd")
	if err != nil {
		return err
	}
	_, _, f := full(x)
	if n := f.u32(); n == 0 || f.short {
		return fmt.Errorf("stsd: %w: no sample entry", vstack.ErrMediaUnfit)
	}
	entry, err := nextBox(f.b)
	if err != nil {
		return fmt.Errorf("stsd: %w", err)
	}
	e := &fields{b: entry.Body}
	switch in.Handler {
	case "vide":
		e.skip(24)
		in.Width, in.Height = int(e.u16()), int(e.u16())
		e.skip(visualEntry - 28)
	case "soun":
		e.skip(16)
		in.Channels = int(e.u16())
		e.skip(6)
		in.SampleRate = int(e.u32() >> 16)
	default:
		return fmt.Errorf("hdlr: %w: handler %q, want vide or soun", vstack.ErrMediaUnfit, in.Handler)
	}
	if err := e.check(entry.Type); err != nil {
		return err
	}
	in.Codec, err = codecString(entry.Type, e.b)
	if err != nil {
		return fmt.Errorf("sample entry %q: %w", entry.Type, err)
	}
	if n := channels(entry.Type, e.b); n > 0 { // the entry itself says 2 for any number
		in.Channels = n
	}
	if in.SampleRate == 0 && in.Handler == "soun" {
		in.SampleRate = int(in.Timescale) // rates above 65,535 do not fit the entry
	}
	return nil
}

// codecString gives the RFC 6381 codecs parameter of a sample entry, from the
// configuration box among its children.
func codecString(kind string, boxes []byte) (string, error) {
	config := func(name string) (*fields, error) {
		x, err := mustFind(boxes, name)
		return &fields{b: x.Body}, err
	}
	var parse func(string, *fields) string
	var name string
	switch kind {
	case "avc1", "avc3":
		name, parse = "avcC", avcString
	case "hvc1", "hev1":
		name, parse = "hvcC", hevcString
	case "vp08", "vp09":
		name, parse = "vpcC", vpxString
	case "av01":
		name, parse = "av1C", av1String
	case "mp4a":
		name, parse = "esds", mp4aString
	case "Opus", "fLaC", "ac-3", "ec-3":
		return kind, nil
	default:
		return "", fmt.Errorf("%w: codec is not one that V-Stack stores", vstack.ErrMediaUnfit)
	}
	f, err := config(name)
	if err != nil {
		return "", err
	}
	s := parse(kind, f)
	return s, f.check(name)
}

// avcString: profile, constraints and level, bytes 1 to 3 of
// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2).
func avcString(kind string, f *fields) string {
	f.skip(1)
	return fmt.Sprintf("%s.%02x%02x%02x", kind, f.u8(), f.u8(), f.u8())
}

// hevcString follows ISO/IEC 14496-15, E.3.
func hevcString(kind string, f *fields) string {
	f.skip(1)
	p := f.u8()
	compat := bits.Reverse32(f.u32())
	constraints := f.take(6)
	level := f.u8()
	space := ""
	if p>>6 > 0 {
		space = string(rune('A' + p>>6 - 1))
	}
	tier := "L"
	if p&0x20 != 0 {
		tier = "H"
	}
	s := fmt.Sprintf("%s.%s%d.%X.%s%d", kind, space, p&31, compat, tier, level)
	last := len(constraints)
	for last > 0 && constraints[last-1] == 0 {
		last--
	}
	for _, c := range constraints[:last] {
		s += "." + strings.ToUpper(strconv.FormatUint(uint64(c), 16))
	}
	return s
}

// vpxString follows the VP Codec ISO Media File Format Binding, "Codecs Parameter
// String". FFmpeg writes level 0 where it does not know; no player accepts that in a
// string, and decoders do not look, so it becomes 1.0.
func vpxString(kind string, f *fields) string {
	f.skip(4)
	profile, level, depth := f.u8(), f.u8(), f.u8()>>4
	if level == 0 {
		level = 10
	}
	return fmt.Sprintf("%s.%02d.%02d.%02d", kind, profile, level, depth)
}

// av1String follows AV1 Codec ISO Media File Format Binding, section 5.
func av1String(kind string, f *fields) string {
	f.skip(1)
	pl, flags := f.u8(), f.u8()
	depth := 8
	if flags&0x40 != 0 {
		depth = 10
		if flags&0x20 != 0 {
			depth = 12
		}
	}
	tier := "M"
	if flags&0x80 != 0 {
		tier = "H"
	}
	return fmt.Sprintf("%s.%d.%02d%s.%02d", kind, pl>>5, pl&31, tier, depth)
}

// mp4aString reads the object type indication and, for MPEG-4 audio, the audio object
// type out of esds's nested descriptors (ISO/IEC 14496-1, 7.2.6).
func mp4aString(kind string, f *fields) string {
	oti := objectType(f)
	if oti != 0x40 {
		return fmt.Sprintf("%s.%02X", kind, oti)
	}
	if descriptor(f) != 5 { // DecoderSpecificInfo: AudioSpecificConfig
		f.short = true
		return ""
	}
	c := f.u8()
	aot := int(c >> 3)
	if aot == 31 {
		aot = 32 + int(c&7)<<3 + int(f.u8()>>5)
	}
	return fmt.Sprintf("%s.40.%d", kind, aot)
}

// objectType reads esds up to its DecoderSpecificInfo.
func objectType(f *fields) uint8 {
	f.skip(4)
	if descriptor(f) != 3 { // ES_Descriptor
		f.short = true
		return 0
	}
	f.skip(2)
	flags := f.u8()
	if flags&0x80 != 0 {
		f.skip(2)
	}
	if flags&0x40 != 0 {
		f.skip(int(f.u8()))
	}
	if flags&0x20 != 0 {
		f.skip(2)
	}
	if descriptor(f) != 4 { // DecoderConfigDescriptor
		f.short = true
		return 0
	}
	oti := f.u8()
	f.skip(12)
	return oti
}

// aacChannels are the channels of AAC's channel configurations (ISO/IEC 14496-3, table
// 1.19); 0 is a configuration that the stream describes itself.
var aacChannels = [16]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}

// channels is what the codec's own configuration says, 0 for nothing.
func channels(kind string, boxes []byte) int {
	switch kind {
	case "mp4a":
		if c := audioConfig(boxes); len(c) >= 2 && c[0]>>3 != 31 && c[0]&7<<1|c[1]>>7 != 15 {
			return aacChannels[c[1]>>3&15]
		}
	case "Opus":
		if x, ok := find(boxes, "dOps"); ok && len(x.Body) >= 2 {
			return int(x.Body[1])
		}
	case "fLaC":
		if x, ok := find(boxes, "dfLa"); ok && len(x.Body) >= 8+13 {
			return int(x.Body[8+12]>>1&7) + 1
		}
	}
	return 0
}

// audioConfig is the AudioSpecificConfig of an mp4a entry, nil if there is none.
func audioConfig(boxes []byte) []byte {
	x, ok := find(boxes, "esds")
	if !ok {
		return nil
	}
	f := &fields{b: x.Body}
	if objectType(f) != 0x40 || descriptor(f) != 5 || f.short {
		return nil
	}
	return f.b
}

// descriptor reads a descriptor's tag and its length, of which nothing is needed.
func descriptor(f *fields) uint8 {
	tag := f.u8()
	for range 4 {
		if f.u8()&0x80 == 0 {
			break
		}
	}
	return tag
}
