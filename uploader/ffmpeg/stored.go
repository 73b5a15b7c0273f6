package ffmpeg

import (
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// What a track holds once it is stored, for its manifest.

// stored is the colour of the stored picture.
func (t Track) stored() media.Color {
	if t.Copy {
		return t.Stream.Color
	}
	return t.Color
}

// Colour is the colour of the stored picture by the code points of ITU-T H.273.
func (t Track) Colour() vstack.Colour {
	c := t.stored()
	out := vstack.Colour{Primaries: primariesCodes[c.Primaries], Transfer: transferCodes[c.Transfer], Matrix: matrixCodes[c.Matrix], FullRange: c.Range == "pc", BitDepth: 8}
	if t.Copy {
		out.BitDepth = bitDepth(t.Stream.PixFmt)
		out.FullRange = out.FullRange || strings.HasPrefix(t.Stream.PixFmt, "yuvj")
	}
	return out
}

// HDR is the kind of high dynamic range of the stored picture, "" for none.
func (t Track) HDR() string {
	switch t.stored().Transfer {
	case "smpte2084":
		return "pq"
	case "arib-std-b67":
		return "hlg"
	}
	return ""
}

// Layout is FFmpeg's name of the stored sound's channel layout.
func (t Track) Layout() string {
	if t.Copy {
		return t.Stream.Layout
	}
	return t.Stream.StoredLayout()
}

// bitDepth reads the bits of a sample off the end of a pixel format's name, "yuv420p10le".
func bitDepth(pixFmt string) uint8 {
	name := strings.TrimSuffix(strings.TrimSuffix(pixFmt, "le"), "be")
	if i := strings.LastIndexByte(name, 'p'); i >= 0 {
		if n, err := strconv.ParseUint(name[i+1:], 10, 8); err == nil && n > 8 && n <= 16 {
			return uint8(n)
		}
	}
	return 8
}

// Code points of ITU-T H.273 by FFmpeg's names; what is not named is unknown.
var (
	primariesCodes = map[string]uint8{"bt709": 1, "bt470m": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7, "film": 8, "bt2020": 9,
		"smpte428": 10, "smpte431": 11, "smpte432": 12, "ebu3213": 22}
	transferCodes = map[string]uint8{"bt709": 1, "bt470m": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7, "linear": 8, "log100": 9, "log316": 10,
		"iec61966-2-4": 11, "bt1361e": 12, "iec61966-2-1": 13, "bt2020-10": 14, "bt2020-12": 15, "smpte2084": 16, "smpte428": 17, "arib-std-b67": 18}
	matrixCodes = map[string]uint8{"bt709": 1, "fcc": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7, "bt2020nc": 9, "bt2020c": 10}
)
