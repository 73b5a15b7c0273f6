package container

import (
	"bytes"
	"io"
)

// Elements of Matroska (RFC 9559) that are looked at, with their length marker.
const (
	idSegment        = 0x18538067
	idTracks         = 0x1654AE6B
	idTrackEntry     = 0xAE
	idCodecID        = 0x86
	idLanguageBCP47  = 0x22B59D
	idEncodings      = 0x6D80
	idEncoding       = 0x6240
	idEncryption     = 0x5035
	idEncryptionAlgo = 0x47E1
	idCluster        = 0x1F43B675
)

// lookMatroska reads the Tracks element, which lies before the first cluster in all but
// odd files; those are left to FFmpeg.
func (facts *Facts) lookMatroska(r io.ReaderAt, size int64) {
	at := int64(0)
	for n := 0; n < maxBoxes && at < size; n++ {
		id, length, header, ok := elementAt(r, at)
		switch {
		case !ok || id == idCluster:
			return
		case id == idSegment:
			at += header
			continue
		case id == idTracks && length <= maxHeader && length >= 0:
			body := make([]byte, length)
			if _, err := r.ReadAt(body, at+header); err != nil && err != io.EOF {
				return
			}
			facts.readTracks(body)
			return
		case length < 0:
			return
		}
		at += header + length
	}
}

// readTracks numbers the entries as FFmpeg numbers its streams.
func (facts *Facts) readTracks(body []byte) {
	n := 0
	elements(body, func(id uint32, entry []byte) {
		if id != idTrackEntry {
			return
		}
		t := Track{Number: n}
		elements(entry, func(id uint32, b []byte) {
			switch id {
			case idCodecID:
				t.NoTimes = string(bytes.TrimRight(b, "\x00")) == "V_MS/VFW/FOURCC"
			case idLanguageBCP47:
				t.Language = string(bytes.TrimRight(b, "\x00"))
			case idEncodings:
				if encryptedEntry(b) {
					t.Encrypted = "Matroska content encryption"
				}
			}
		})
		facts.Tracks[n] = t
		n++
	})
}

func encryptedEntry(encodings []byte) (found bool) {
	elements(encodings, func(id uint32, encoding []byte) {
		if id != idEncoding {
			return
		}
		elements(encoding, func(id uint32, b []byte) {
			if id != idEncryption {
				return
			}
			elements(b, func(id uint32, b []byte) {
				if id == idEncryptionAlgo && !bytes.Equal(bytes.Trim(b, "\x00"), nil) {
					found = true // 0 would be "signed, not encrypted"
				}
			})
		})
	})
	return found
}

// elements calls visit for each child, as far as they are whole.
func elements(body []byte, visit func(id uint32, body []byte)) {
	for len(body) > 0 {
		id, n := vint(body, 4, false)
		if n == 0 {
			return
		}
		length, m := vint(body[n:], 8, true)
		if m == 0 || length < 0 || length > int64(len(body)-n-m) {
			return
		}
		visit(uint32(id), body[n+m:n+m+int(length)])
		body = body[n+m+int(length):]
	}
}

// elementAt reads an element's header; length is -1 where it is unknown.
func elementAt(r io.ReaderAt, at int64) (id uint32, length, header int64, ok bool) {
	var b [12]byte
	k, err := r.ReadAt(b[:], at)
	if err != nil && err != io.EOF {
		return 0, 0, 0, false
	}
	i, n := vint(b[:k], 4, false)
	if n == 0 {
		return 0, 0, 0, false
	}
	length, m := vint(b[n:k], 8, true)
	if m == 0 {
		return 0, 0, 0, false
	}
	return uint32(i), length, int64(n + m), true
}

// vint reads EBML's number of variable length (RFC 8794, 4); size 0 says that there is
// none. A length of only ones is unknown, -1.
func vint(b []byte, most int, length bool) (v int64, size int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	for size = 1; b[0]&(0x80>>(size-1)) == 0; size++ {
	}
	if size > most || size > len(b) {
		return 0, 0
	}
	v = int64(b[0])
	if length {
		v &= 0xff >> size
	}
	for _, c := range b[1:size] {
		v = v<<8 | int64(c)
	}
	if length && v == 1<<(7*size)-1 {
		v = -1
	}
	return v, size
}
