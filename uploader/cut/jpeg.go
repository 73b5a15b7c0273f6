package cut

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/internal/vstack"
)

// Markers of JPEG (ITU-T T.81, table B.1), each behind a byte 0xff.
const (
	jpegStart = 0xd8
	jpegEnd   = 0xd9
	jpegScan  = 0xda // entropy coded data follow
)

// jpegs reads pictures that follow one another and hands on each.
func jpegs(r io.Reader, each func(picture []byte) error) error {
	j := &jpegReader{r: bufio.NewReader(r)}
	for {
		err := j.next()
		if err == io.EOF && len(j.out) == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read pictures: %w", err)
		}
		if err := each(j.out); err != nil {
			return err
		}
	}
}

var errNotJPEG = fmt.Errorf("%w: not a JPEG", vstack.ErrCorrupt)

type jpegReader struct {
	r   *bufio.Reader
	out []byte // the picture so far
}

// next reads one picture: a length says how far a marker's data go, and those of a scan
// end at the next marker.
func (j *jpegReader) next() error {
	j.out = nil
	if kind, err := j.marker(); err != nil || kind != jpegStart {
		return firstOf(err, errNotJPEG)
	}
	for {
		kind, err := j.marker()
		if err != nil || kind == jpegEnd {
			return err
		}
		high, err := j.take()
		if err != nil {
			return err
		}
		low, err := j.take()
		if err != nil {
			return err
		}
		for range int(high)<<8 + int(low) - 2 {
			if _, err := j.take(); err != nil {
				return err
			}
		}
		if kind == jpegScan {
			if err := j.scan(); err != nil {
				return err
			}
		}
	}
}

// scan reads entropy coded data: a byte 0xff in them is followed by 0 or by the mark of a
// restart.
func (j *jpegReader) scan() error {
	for {
		p, err := j.r.Peek(2)
		if err != nil {
			return err
		}
		if p[0] == 0xff && p[1] != 0 && (p[1] < 0xd0 || p[1] > 0xd7) {
			return nil
		}
		if _, err := j.take(); err != nil {
			return err
		}
	}
}

func (j *jpegReader) marker() (byte, error) {
	b, err := j.take()
	if err != nil || b != 0xff {
		return 0, firstOf(err, errNotJPEG)
	}
	for b == 0xff { // fillers may stand before a marker
		if b, err = j.take(); err != nil {
			return 0, err
		}
	}
	return b, nil
}

func (j *jpegReader) take() (byte, error) {
	b, err := j.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if len(j.out) == vstack.MaxChunkSize {
		return 0, fmt.Errorf("%w: a picture over %d bytes", vstack.ErrMediaUnfit, vstack.MaxChunkSize)
	}
	j.out = append(j.out, b)
	return b, nil
}

func firstOf(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
