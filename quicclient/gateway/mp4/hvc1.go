package mp4

import (
	"bytes"
	"encoding/binary"

	"github.com/vstack/vstack/internal/vstack"
)

// stsdEntries is where the sample entries of a stsd box begin: behind version, flags and
// their number.
const stsdEntries = headerSize + 8

// HVC1 names HEVC's sample entry hvc1 in an init chunk, as Apple's players want it: the
// parameter sets stand in it, which is what that name says. An init chunk of anything else
// comes back as it is; b is not changed.
func HVC1(b []byte) ([]byte, error) {
	out := bytes.Clone(b)
	inner, err := out, error(nil)
	for _, kind := range []string{"moov", "trak", "mdia", "minf", "stbl", "stsd"} {
		if inner, err = find(inner, kind); err != nil {
			return nil, err
		}
		if kind != "stsd" {
			inner = inner[headerSize:]
		}
	}
	if len(inner) < stsdEntries+headerSize {
		return nil, vstack.ErrCorrupt
	}
	entry := inner[stsdEntries:]
	if string(entry[4:8]) != "hev1" || binary.BigEndian.Uint32(entry) > uint32(len(entry)) || !bytes.Contains(entry, []byte("hvcC")) {
		return b, nil
	}
	copy(entry[4:8], "hvc1")
	return out, nil
}
