package container

import (
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

const (
	// maxHeader bounds a moov box, or a Tracks element, that is read into memory.
	maxHeader = 64 << 20
	// maxBoxes bounds the top-level boxes that are looked at: a fragmented film has one
	// pair a second, and the check is only worth its first look.
	maxBoxes = 1 << 16
	// maxTags bounds the tags of an FLV that are looked at.
	maxTags = 1 << 18
	// headSize is how much of a file's start tells what it is.
	headSize = 4 << 10
)

// Facts are what a file says of itself.
type Facts struct {
	Warnings []string
	Tracks   map[int]Track // by Number
	// Torn says that a transport stream may end inside a frame.
	Torn bool
	// Streamed says, of what Head looked at, that a reader which seeks sees other times than
	// one that does not: a transport stream, an MP4 in fragments. It is read forward always.
	Streamed bool
}

// Track is what the header says of one track. The zero value says nothing.
type Track struct {
	Number       int
	Encrypted    string // the scheme, "" for none
	Descriptions int    // sample descriptions that its samples use
	Edits        int    // parts of the media that the edit list shows, 0 without a list
	Trimmed      bool   // the edit list hides frames at the end
	Empty        bool   // declared, but without a sample
	NoTimes      bool   // the container has no presentation times for it
	Language     string // as the file has it, where FFmpeg does not report it
}

// Look reads what it needs of a local file. What no film or sound begins with, and empty
// files, are ErrNotMedia; an MP4 that ends before its boxes do is ErrTruncated; an
// encrypted one is ErrMediaUnfit.
func Look(v source.Vault, file string) (Facts, error) {
	f, err := v.Open(file)
	if err != nil {
		return Facts{}, fmt.Errorf("probe: %w", err)
	}
	defer f.Close()
	if f.Size() == 0 {
		return Facts{}, fmt.Errorf("probe: %w: the file is empty", vstack.ErrNotMedia)
	}
	facts, err := look(f, f.Size())
	if err != nil {
		return Facts{}, fmt.Errorf("probe: %w", err)
	}
	return facts, nil
}

func look(r io.ReaderAt, size int64) (Facts, error) {
	head := make([]byte, min(headSize, size))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Facts{}, err
	}
	if what := refused(head); what != "" {
		return Facts{}, fmt.Errorf("%w: %s are not taken", vstack.ErrNotMedia, what)
	}
	facts := Facts{Tracks: map[int]Track{}}
	var err error
	switch {
	case startsMP4(head):
		err = facts.lookMP4(r, size)
	case startsWith(head, 0, "\x1a\x45\xdf\xa3"):
		facts.lookMatroska(r, size)
	case startsWith(head, 0, "FLV\x01"):
		facts.lookFLV(r, size)
	case startsTS(head):
		err = facts.lookTS(r, size)
	}
	if err != nil {
		return Facts{}, err
	}
	for _, t := range facts.Tracks {
		if t.Encrypted != "" {
			return Facts{}, encrypted(t.Encrypted)
		}
	}
	return facts, nil
}

func encrypted(scheme string) error {
	return fmt.Errorf("%w: the file is encrypted (%s): only who holds its key can play it", vstack.ErrMediaUnfit, scheme)
}
