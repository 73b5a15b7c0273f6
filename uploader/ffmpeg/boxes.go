package ffmpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/vstack/vstack/internal/vstack"
)

// maxBoxes bounds the top-level boxes that are looked at: a fragmented film has one
// pair a second, and the check is only worth its first look.
const maxBoxes = 1 << 16

// checkBoxes looks for what ffprobe forgives: an MP4 or MOV that ends inside one of its
// top-level boxes. A plain file is then refused; a fragmented one (a recording that
// broke off) plays up to its last whole fragment, with a warning.
func checkBoxes(file string) (warning string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("probe: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("probe: %w", err)
	}
	if info.Size() == 0 {
		return "", fmt.Errorf("probe: %w: the file is empty", vstack.ErrNotMedia)
	}
	fragmented := false
	for at, n := int64(0), 0; at < info.Size() && n < maxBoxes; n++ {
		kind, size, err := boxAt(f, at)
		if n == 0 && (err != nil || !startsMP4(kind)) {
			return "", nil // not of this family, or too short to tell: ffprobe judges
		}
		if kind == "moof" {
			fragmented = true
		}
		end := at + size
		if size == 0 && err == nil {
			end = info.Size()
		}
		if err != nil || end > info.Size() || end <= at {
			if fragmented {
				return fmt.Sprintf("the file is cut short: its last fragment, at byte %d, is not whole", at), nil
			}
			return "", fmt.Errorf("probe: %w: box %q at byte %d goes on after the end of the file, at byte %d", vstack.ErrTruncated, kind, at, info.Size())
		}
		at = end
	}
	return "", nil
}

func startsMP4(kind string) bool {
	switch kind {
	case "ftyp", "moov", "wide", "mdat", "free", "skip":
		return true
	}
	return false
}

// boxAt reads a top-level box header; size 0 means "to the end of the file".
func boxAt(f io.ReaderAt, at int64) (kind string, size int64, err error) {
	var b [16]byte
	n, err := f.ReadAt(b[:], at)
	if n < 8 {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return "", 0, err
	}
	kind, size = string(b[4:8]), int64(binary.BigEndian.Uint32(b[:]))
	switch {
	case size == 1 && n < 16:
		return kind, 0, io.ErrUnexpectedEOF
	case size == 1:
		size = int64(binary.BigEndian.Uint64(b[8:]))
	}
	if size != 0 && size < 8 {
		return kind, 0, io.ErrUnexpectedEOF
	}
	return kind, size, nil
}

func isExit(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e)
}
