package container

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/vstack/vstack/internal/vstack"
)

// startsMP4 says that a file is of the family of MP4 and QuickTime.
func startsMP4(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	switch string(head[4:8]) {
	case "ftyp", "moov", "wide", "mdat", "free", "skip", "pnot", "styp":
		return true
	}
	return false
}

// topLevel are the boxes that a file of this family is made of. Another name after moov
// and mdat is not a box that was cut short but bytes of something else.
var topLevel = map[string]bool{
	"ftyp": true, "styp": true, "moov": true, "moof": true, "mdat": true, "mfra": true, "sidx": true, "ssix": true, "free": true, "skip": true,
	"wide": true, "pdin": true, "meta": true, "uuid": true, "emsg": true, "prft": true, "udta": true, "pnot": true, "PICT": true, "bloc": true,
}

// lookMP4 walks the top-level boxes. It finds what ffprobe forgives: a file that ends
// inside one of them. A plain file is then refused; a fragmented one (a recording that
// broke off) plays up to its last whole fragment, with a warning; and bytes after the
// last box, which some programs leave there, are left out, with a warning too.
func (facts *Facts) lookMP4(r io.ReaderAt, size int64) error {
	seen := map[string]bool{}
	var moov []byte
	for at, n := int64(0), 0; at < size && n < maxBoxes; n++ {
		kind, length, header, err := boxAt(r, at)
		end := at + length
		if length == 0 && err == nil {
			end = size
		}
		if err != nil || end > size || end <= at {
			switch {
			case seen["moov"] && (seen["mdat"] || seen["moof"]) && !topLevel[kind]:
				facts.warn("%d bytes after the last box, at byte %d, are left out", size-at, at)
				return facts.lookMoov(moov, at)
			case seen["moof"]:
				facts.warn("the file is cut short: its last fragment, at byte %d, is not whole", at)
				return facts.lookMoov(moov, size)
			case n == 0 && err != nil:
				return nil // too short to tell: FFmpeg judges
			}
			return fmt.Errorf("%w: box %q at byte %d goes on after the end of the file, at byte %d", vstack.ErrTruncated, printable(kind), at, size)
		}
		if kind == "moov" && moov == nil {
			if end-at > maxHeader {
				return fmt.Errorf("%w: its index (moov) is %d bytes, at most %d", vstack.ErrMediaUnfit, end-at, maxHeader)
			}
			moov = make([]byte, end-at-header)
			if _, err := r.ReadAt(moov, at+header); err != nil && err != io.EOF {
				return err
			}
		}
		seen[kind] = true
		at = end
	}
	return facts.lookMoov(moov, size)
}

func (facts *Facts) warn(format string, args ...any) {
	facts.Warnings = append(facts.Warnings, fmt.Sprintf(format, args...))
}

func printable(kind string) string {
	out := []byte(kind)
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = '?'
		}
	}
	return string(out)
}

// boxAt reads a top-level box header; size 0 means "to the end of the file".
func boxAt(r io.ReaderAt, at int64) (kind string, size, header int64, err error) {
	var b [16]byte
	n, err := r.ReadAt(b[:], at)
	if n < 8 {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return string(b[4:max(4, n)]), 0, 0, err
	}
	kind, size, header = string(b[4:8]), int64(binary.BigEndian.Uint32(b[:])), 8
	switch {
	case size == 1 && n < 16:
		return kind, 0, 0, io.ErrUnexpectedEOF
	case size == 1:
		size, header = int64(binary.BigEndian.Uint64(b[8:])), 16
	}
	if size != 0 && size < header {
		return kind, 0, 0, io.ErrUnexpectedEOF
	}
	return kind, size, header, nil
}
