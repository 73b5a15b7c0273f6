package container

import (
	"encoding/binary"
	"hash/maphash"
	"io"
)

// lookFLV walks the tags and counts the different H.264 configurations: MP4 keeps one.
// FLV has no track numbers; FFmpeg does not number its streams either, so the picture is
// number 0.
func (facts *Facts) lookFLV(r io.ReaderAt, size int64) {
	var b [18]byte
	seed, seen := maphash.MakeSeed(), map[uint64]bool{}
	for at, n := int64(13), 0; at+16 <= size && n < maxTags; n++ {
		if _, err := r.ReadAt(b[:], at); err != nil && err != io.EOF {
			return
		}
		length := int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
		const picture, avc = 9, 7
		if b[0]&0x1f == picture && b[11]&0x0f == avc && b[12] == 0 && length < 1<<16 {
			config := make([]byte, length)
			if _, err := r.ReadAt(config, at+11); err != nil {
				return
			}
			seen[maphash.Bytes(seed, config)] = true
		}
		at += 11 + length + 4
	}
	if len(seen) > 0 {
		facts.Tracks[0] = Track{Descriptions: len(seen)}
	}
}

const tsPacket = 188

// startsTS looks for the sync bytes of an MPEG transport stream.
func startsTS(head []byte) bool {
	if len(head) < 4*tsPacket {
		return false
	}
	for at := 0; at < 4*tsPacket; at += tsPacket {
		if head[at] != 0x47 {
			return false
		}
	}
	return true
}

// lookTS refuses a scrambled transport stream (ISO/IEC 13818-1, 2.4.3.2): one whose
// packets with payload mostly say that they are. Then it looks at its end.
func (facts *Facts) lookTS(r io.ReaderAt, size int64) error {
	b := make([]byte, min(size, lookPackets*tsPacket))
	n, err := r.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return err
	}
	scrambled, clear := 0, 0
	for at := 0; at+tsPacket <= n; at += tsPacket {
		switch p := b[at : at+tsPacket]; {
		case !hasPayload(p):
		case p[3]&0xc0 != 0:
			scrambled++
		default:
			clear++
		}
	}
	if scrambled > clear {
		return encrypted("scrambled transport stream")
	}
	return facts.lookTSEnd(r, size)
}

// lookPackets is how many packets of a transport stream are looked at, at either end.
const lookPackets = 4096

// hasPayload says that a packet carries a stream's bytes.
func hasPayload(p []byte) bool {
	pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff
	return p[0] == 0x47 && pid >= 0x20 && pid != 0x1fff && p[3]&0x10 != 0
}

// lookTSEnd asks whether the last frame may be cut in half. A frame of picture does not
// state its length in this format; its last packet is filled up with stuffing, unless it
// happens to fit.
func (facts *Facts) lookTSEnd(r io.ReaderAt, size int64) error {
	whole := size / tsPacket
	from := max(0, whole-lookPackets) * tsPacket
	b := make([]byte, whole*tsPacket-from)
	if _, err := r.ReadAt(b, from); err != nil && err != io.EOF {
		return err
	}
	facts.Torn = size%tsPacket != 0
	open := map[uint16]bool{} // by PID: its last packet is full
	for at := 0; at+tsPacket <= len(b); at += tsPacket {
		if p := b[at : at+tsPacket]; hasPayload(p) {
			open[binary.BigEndian.Uint16(p[1:])&0x1fff] = p[3]&0x20 == 0
		}
	}
	for _, full := range open {
		facts.Torn = facts.Torn || full
	}
	return nil
}
