package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// The builders below write boxes by hand, so that the reader is not only held against
// one writer.

func mkbox(kind string, body ...[]byte) []byte {
	b := slices.Concat(body...)
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(b)))
	return slices.Concat(out, []byte(kind), b)
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func u32(v ...uint32) (out []byte) {
	for _, x := range v {
		out = binary.BigEndian.AppendUint32(out, x)
	}
	return out
}
func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

var upright = u32(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30)
var quarter = u32(0, 1<<16, 0, 0xffff0000, 0, 0, 0, 0, 1<<30)

type initSpec struct {
	matrix    []byte
	timescale uint32
	handler   string
	entry     []byte
	edts      bool
}

func pictureEntry(kind string, config []byte) []byte {
	return mkbox(kind, make([]byte, 24), u16(320), u16(180), make([]byte, 50), config)
}

func soundEntry(kind string, config []byte) []byte {
	return mkbox(kind, make([]byte, 16), u16(2), make([]byte, 6), u32(48000<<16), config)
}

var avcC = mkbox("avcC", []byte{1, 0x64, 0, 0x28, 0xff})

func (s initSpec) bytes() []byte {
	if s.matrix == nil {
		s.matrix = upright
	}
	if s.timescale == 0 {
		s.timescale = 1000
	}
	if s.handler == "" {
		s.handler, s.entry = "vide", pictureEntry("avc1", avcC)
	}
	edts := []byte(nil)
	if s.edts {
		edts = mkbox("edts")
	}
	trak := mkbox("trak",
		mkbox("tkhd", u32(3, 0, 0, 1, 0, 0), make([]byte, 16), s.matrix, u32(320<<16, 180<<16)), edts,
		mkbox("mdia",
			mkbox("mdhd", u32(0, 0, 0, s.timescale, 0), u16(('d'-0x60)<<10|('e'-0x60)<<5|('u'-0x60)), u16(0)),
			mkbox("hdlr", u32(0, 0), []byte(s.handler), make([]byte, 13)),
			mkbox("minf", mkbox("stbl", mkbox("stsd", u32(0, 1), s.entry)))))
	return slices.Concat(mkbox("ftyp", []byte("iso5")), mkbox("moov", mkbox("mvhd", make([]byte, 100)), trak,
		mkbox("mvex", mkbox("trex", u32(0, 1, 1, 40, 0, 0)))))
}

// sample has a size, a duration, sync and a composition offset.
type sample struct {
	size, duration uint32
	sync           bool
	cts            int32
}

func fragment(decodeTime uint64, samples ...sample) []byte {
	trun := u32(0x01000000|trunDataOffset|trunDuration|trunSize|trunFlags|trunComposition, uint32(len(samples)), 0)
	size := 0
	for _, s := range samples {
		flags := uint32(sampleIsNotSync)
		if s.sync {
			flags = 0
		}
		trun = append(trun, u32(s.duration, s.size, flags, uint32(s.cts))...)
		size += int(s.size)
	}
	return slices.Concat(mkbox("moof", mkbox("mfhd", u32(0, 1)), mkbox("traf",
		mkbox("tfhd", u32(0x020000, 1)), mkbox("tfdt", u32(1<<24), u64(decodeTime)), mkbox("trun", trun))),
		mkbox("mdat", bytes.Repeat([]byte{0xab}, size)))
}

func readAll(r *Reader) (out []Fragment, err error) {
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		f.Data = slices.Clone(f.Data)
		out = append(out, f)
	}
}

func TestInitSaysWhatTheTrackIs(t *testing.T) {
	stream := slices.Concat(initSpec{matrix: quarter}.bytes(), fragment(10_000, sample{100, 40, true, 0}))
	in, err := NewReader(bytes.NewReader(stream), 10).Init()
	if err != nil {
		t.Fatal(err)
	}
	if in.Codec != "avc1.640028" || in.Timescale != 1000 || in.Width != 320 || in.Height != 180 || in.Rotation != 90 || in.Language != "deu" || in.Handler != "vide" || in.EditOffset != 0 {
		t.Errorf("init: %+v", in)
	}
	if !bytes.Equal(in.Data, initSpec{matrix: quarter}.bytes()) {
		t.Error("an init segment without an edit offset was changed")
	}
}

func TestFramesBeforeZeroBecomeAnEditOffset(t *testing.T) {
	stream := slices.Concat(initSpec{}.bytes(),
		fragment(9_920, sample{100, 40, true, 80}, sample{50, 40, false, 160}),
		fragment(10_000, sample{50, 40, false, 40}))
	r := NewReader(bytes.NewReader(stream), 10)
	in, err := r.Init()
	if err != nil {
		t.Fatal(err)
	}
	elst, ok := find(in.Data, "moov", "trak", "edts", "elst")
	if !ok || in.EditOffset != 80 || binary.BigEndian.Uint64(elst.Body[16:]) != 80 {
		t.Errorf("edit offset %d, elst %x", in.EditOffset, elst.Body)
	}
	if again, err := parseInit(in.Data); err != nil || again.Codec != in.Codec {
		t.Errorf("the edited init segment does not parse: %v", err)
	}
	got, err := readAll(r)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d fragments, %v", len(got), err)
	}
	if got[0].Start != 0 || got[0].Duration != 80 || !got[0].Keyframe || got[1].Start != 80 || got[1].Keyframe {
		t.Errorf("fragments: %+v %+v", got[0], got[1])
	}
	for i, want := range []uint64{0, 80} {
		tfdt, _ := find(got[i].Data, "moof", "traf", "tfdt")
		if v := binary.BigEndian.Uint64(tfdt.Body[4:]); v != want {
			t.Errorf("fragment %d: decode time %d, want %d", i, v, want)
		}
	}
}

func TestTrackThatStartsLateKeepsItsPlace(t *testing.T) {
	stream := slices.Concat(initSpec{}.bytes(), fragment(11_500, sample{10, 40, true, 0}))
	got, err := readAll(NewReader(bytes.NewReader(stream), 10))
	if err != nil || got[0].Start != 1500 {
		t.Errorf("start %v, %v", got, err)
	}
}

func TestCodecStrings(t *testing.T) {
	esds := func(oti byte, asc ...byte) []byte {
		dsi := append([]byte{5, byte(len(asc))}, asc...)
		dcd := slices.Concat([]byte{4, byte(13 + len(dsi)), oti}, make([]byte, 12), dsi)
		return mkbox("esds", u32(0), slices.Concat([]byte{3, 0x80, 0x80, 0x80, byte(3 + len(dcd)), 0, 1, 0}, dcd))
	}
	for want, s := range map[string]initSpec{
		"avc1.42c01e":           {handler: "vide", entry: pictureEntry("avc1", mkbox("avcC", []byte{1, 0x42, 0xc0, 0x1e}))},
		"hvc1.1.6.L93.B0":       {handler: "vide", entry: pictureEntry("hvc1", mkbox("hvcC", []byte{1, 1}, u32(0x60000000), []byte{0xb0, 0, 0, 0, 0, 0, 93}))},
		"hev1.A2.4.H120.90.0.8": {handler: "vide", entry: pictureEntry("hev1", mkbox("hvcC", []byte{1, 0x62}, u32(0x20000000), []byte{0x90, 0, 8, 0, 0, 0, 120}))},
		"vp09.02.31.10":         {handler: "vide", entry: pictureEntry("vp09", mkbox("vpcC", u32(1<<24), []byte{2, 31, 0xa2, 1, 1, 1, 0, 0}))},
		"vp09.00.10.08":         {handler: "vide", entry: pictureEntry("vp09", mkbox("vpcC", u32(1<<24), []byte{0, 0, 0x82, 1, 1, 1, 0, 0}))},
		"av01.0.04M.08":         {handler: "vide", entry: pictureEntry("av01", mkbox("av1C", []byte{0x81, 4, 0x0c, 0}))},
		"av01.0.13H.10":         {handler: "vide", entry: pictureEntry("av01", mkbox("av1C", []byte{0x81, 13, 0xcc, 0}))},
		"mp4a.40.2":             {handler: "soun", entry: soundEntry("mp4a", esds(0x40, 0x11, 0x90))},
		"mp4a.40.42":            {handler: "soun", entry: soundEntry("mp4a", esds(0x40, 0xf9, 0x40))},
		"mp4a.6B":               {handler: "soun", entry: soundEntry("mp4a", esds(0x6b))},
		"Opus":                  {handler: "soun", entry: soundEntry("Opus", mkbox("dOps", make([]byte, 11)))},
		"fLaC":                  {handler: "soun", entry: soundEntry("fLaC", mkbox("dfLa", make([]byte, 4)))},
	} {
		in, err := parseInit(s.bytes())
		if err != nil || in.Codec != want {
			t.Errorf("%+v, %v, want %q", in, err, want)
		}
		if err == nil && s.handler == "soun" && (in.Channels != 2 || in.SampleRate != 48000) {
			t.Errorf("%s: %d channels at %d Hz", want, in.Channels, in.SampleRate)
		}
	}
}

func TestDamagedStreamsAreRefused(t *testing.T) {
	good := initSpec{}.bytes()
	frag := fragment(10_000, sample{100, 40, true, 0})
	edit := func(b []byte, find string, at int, with ...byte) []byte {
		out := slices.Clone(b)
		copy(out[bytes.Index(out, []byte(find))+at:], with)
		return out
	}
	huge := edit(frag, "mdat", -4, 0x10, 0, 0, 0)
	for name, tc := range map[string]struct {
		stream []byte
		want   error
	}{
		"empty":                    {nil, vstack.ErrNoStreams},
		"no fragment":              {good, vstack.ErrNoStreams},
		"cut in moov":              {good[:100], io.ErrUnexpectedEOF},
		"cut in moof":              {slices.Concat(good, frag[:40]), io.ErrUnexpectedEOF},
		"cut in mdat":              {slices.Concat(good, frag[:len(frag)-1]), io.ErrUnexpectedEOF},
		"moof without mdat":        {slices.Concat(good, frag[:len(frag)-108]), io.ErrUnexpectedEOF},
		"fragment of 256 MiB":      {slices.Concat(good, huge), vstack.ErrMediaUnfit},
		"moov of 2 GiB":            {edit(good, "moov", -4, 0x7f), vstack.ErrMediaUnfit},
		"child larger than parent": {slices.Concat(edit(good, "mdia", -4, 0x7f), frag), vstack.ErrMediaUnfit},
		"timescale 0":              {slices.Concat(edit(good, "mdhd", 16, 0, 0, 0, 0), frag), vstack.ErrMediaUnfit},
		"other track":              {slices.Concat(good, edit(frag, "tfhd", 8, 0, 0, 0, 9)), vstack.ErrMediaUnfit},
		"absolute offsets":         {slices.Concat(good, edit(frag, "tfhd", 7, 1)), vstack.ErrMediaUnfit},
		"samples beyond mdat":      {slices.Concat(good, edit(frag, "trun", 20, 0, 1, 0, 0)), vstack.ErrMediaUnfit},
		"a billion samples":        {slices.Concat(good, edit(frag, "trun", 8, 0x3f)), vstack.ErrMediaUnfit},
		"time goes back":           {slices.Concat(good, frag, fragment(9_000, sample{1, 1, true, 0})), vstack.ErrMediaUnfit},
		"two tracks":               {slices.Concat(edit(good, "mvhd", 0, 't', 'r', 'a', 'k'), frag), vstack.ErrMediaUnfit},
		"not MP4":                  {[]byte(strings.Repeat("hello world ", 20)), vstack.ErrMediaUnfit},
		"its own edit list":        {slices.Concat(initSpec{edts: true}.bytes(), fragment(9_000, sample{1, 1, true, 0})), vstack.ErrMediaUnfit},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readAll(NewReader(bytes.NewReader(tc.stream), 10)); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

func TestBoxesBetweenFragmentsAreLeftOut(t *testing.T) {
	frag := fragment(10_000, sample{100, 40, true, 0})
	wide := slices.Concat(u32(1), []byte("free"), u64(16+5), make([]byte, 5))
	stream := slices.Concat(initSpec{}.bytes(), mkbox("styp", make([]byte, 8)), frag, mkbox("sidx", make([]byte, 40)), wide, frag, mkbox("mfra"))
	got, err := readAll(NewReader(iotestOneByte{bytes.NewReader(stream)}, 10))
	if err != nil || len(got) != 2 || len(got[1].Data) != len(frag) {
		t.Errorf("%d fragments, %v", len(got), err)
	}
}

// iotestOneByte hands out single bytes, as a slow pipe may.
type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// run feeds a cutter with fragments of given sizes and seconds.
func run(parts []Fragment) (out []Chunk) {
	c := NewCutter(1000, nil)
	at := int64(0)
	for _, f := range parts {
		f.Start = at
		at += f.Duration
		out = append(out, c.Add(f)...)
	}
	if last, ok := c.Flush(); ok {
		out = append(out, last)
	}
	return out
}

func parts(n, size int, duration int64, keyEvery int) []Fragment {
	out := make([]Fragment, n)
	for i := range out {
		out[i] = Fragment{Data: bytes.Repeat([]byte{byte(i)}, size), Duration: duration, Keyframe: i%keyEvery == 0}
	}
	return out
}

func TestChunksStayWithinSizeAndTime(t *testing.T) {
	for name, in := range map[string][]Fragment{
		"by size":        parts(40, 700<<10, 1000, 1),
		"by time":        parts(95, 1000, 1000, 5),
		"by both":        parts(60, 250<<10, 900, 3),
		"key far apart":  parts(60, 600<<10, 500, 20),
		"one":            parts(1, 10, 10, 1),
		"none":           nil,
		"oversize frame": slices.Concat(parts(3, 500<<10, 1000, 1), parts(1, 7<<20, 1000, 1), parts(3, 500<<10, 1000, 1)),
		"long frame":     slices.Concat(parts(3, 1000, 1000, 1), parts(1, 1000, 25_000, 1), parts(3, 1000, 1000, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			chunks := run(in)
			var all, want []byte
			for _, f := range in {
				want = append(want, f.Data...)
			}
			at := int64(0)
			for i, k := range chunks {
				single := len(k.Data) == 7<<20 || k.Duration == 25_000
				if !single && (len(k.Data) > vstack.ChunkSize || k.Duration > 10_000) {
					t.Errorf("chunk %d: %d bytes, %d ms", i, len(k.Data), k.Duration)
				}
				if k.Start != at {
					t.Errorf("chunk %d starts at %d, want %d", i, k.Start, at)
				}
				at += k.Duration
				all = append(all, k.Data...)
			}
			if !bytes.Equal(all, want) {
				t.Error("the chunks are not the fragments")
			}
		})
	}
}

func TestChunkStartsAtAKeyframeWhereThatCostsNothing(t *testing.T) {
	// A keyframe every third fragment, four fit a chunk: cutting after three costs
	// little, so every chunk starts with one.
	for i, k := range run(parts(60, 500<<10, 500, 3)) {
		if !k.Keyframe {
			t.Errorf("chunk %d does not start at a keyframe", i)
		}
	}
	// A keyframe right after a chunk's start is no place to cut.
	chunks := run(parts(40, 500<<10, 500, 40))
	if len(chunks) != 10 {
		t.Errorf("%d chunks, want 10", len(chunks))
	}
}

func TestPrimingIsNotPresented(t *testing.T) {
	c := NewCutter(1000, nil)
	c.Add(Fragment{Data: []byte{1}, Start: -20, Duration: 1000, Keyframe: true})
	k, ok := c.Flush()
	if !ok || k.Start != 0 || k.Duration != 980 {
		t.Errorf("%+v", k)
	}
}

func FuzzReader(f *testing.F) {
	good := slices.Concat(initSpec{}.bytes(), fragment(9_900, sample{100, 40, true, 80}), fragment(9_940, sample{10, 40, false, 0}))
	f.Add(good)
	f.Add(good[:300])
	f.Add(slices.Concat(initSpec{handler: "soun", entry: soundEntry("Opus", nil)}.bytes(), fragment(10_000, sample{9, 20, true, 0})))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b), 10)
		in, err := r.Init()
		if err != nil {
			return
		}
		if in.Timescale == 0 || in.Codec == "" || len(in.Data) > MaxInit+44 {
			t.Fatalf("accepted init: %+v", in)
		}
		c := NewCutter(in.Timescale, nil)
		total, out := 0, 0
		check := func(chunks []Chunk) {
			for _, k := range chunks {
				out += len(k.Data)
				if k.Start < 0 || k.Duration < 0 || len(k.Data) == 0 || len(k.Data) > vstack.MaxChunkSize {
					t.Fatalf("chunk: %d %d %d", k.Start, k.Duration, len(k.Data))
				}
			}
		}
		for {
			fr, err := r.Next()
			if err != nil {
				break
			}
			if len(fr.Data) > vstack.MaxChunkSize || fr.Samples == 0 {
				t.Fatalf("fragment: %d bytes, %d samples", len(fr.Data), fr.Samples)
			}
			total += len(fr.Data)
			check(c.Add(fr))
		}
		if last, ok := c.Flush(); ok {
			check([]Chunk{last})
		}
		if total != out {
			t.Fatalf("%d bytes in, %d out", total, out)
		}
	})
}
