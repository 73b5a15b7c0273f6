package container

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/vstack/vstack/uploader/source"
)

// behind are the boxes that may follow the index of an MP4 that is read forward: none of
// them changes what the index says of the samples.
var behind = map[string]bool{"mdat": true, "moof": true, "free": true, "skip": true, "wide": true, "styp": true, "sidx": true, "ssix": true, "mfra": true, "emsg": true, "prft": true}

// Head looks at a file of which only the start is there. forward says that it holds all that
// is needed to read the rest forward, without a seek: an MP4 with its index in front,
// Matroska, a transport stream.
func Head(v source.Vault, file string) (facts Facts, forward bool, err error) {
	f, err := v.Begun(file)
	if err != nil {
		return Facts{}, false, fmt.Errorf("probe: %w", err)
	}
	defer f.Close()
	facts = Facts{Tracks: map[int]Track{}}
	first := make([]byte, min(headSize, f.Size()))
	if _, err := f.ReadAt(first, 0); err != nil && !errors.Is(err, io.EOF) {
		return Facts{}, false, fmt.Errorf("probe: %w", err)
	}
	switch {
	case refused(first) != "":
	case startsMP4(first):
		moov, ok, err := index(f, f.Size())
		if err != nil || !ok {
			return Facts{}, false, err
		}
		// Where the boxes end nobody knows yet.
		if err := facts.lookMoov(moov, math.MaxInt64); err != nil {
			return Facts{}, false, fmt.Errorf("probe: %w", err)
		}
		forward, facts.Streamed = true, fragmented(moov)
	case startsWith(first, 0, "\x1a\x45\xdf\xa3"):
		facts.lookMatroska(f, f.Size())
		forward = len(facts.Tracks) > 0
	case startsTS(first):
		forward, facts.Streamed = true, true
	}
	for _, t := range facts.Tracks {
		forward = forward && t.Encrypted == ""
	}
	return facts, forward, nil
}

// index reads the index of an MP4 that has it in front of its samples. ok is false where it
// does not stand there.
func index(r io.ReaderAt, size int64) (moov []byte, ok bool, err error) {
	for at, n := int64(0), 0; at < size && n < maxBoxes; n++ {
		kind, length, header, err := boxAt(r, at)
		switch {
		case err != nil || length == 0 && kind != "mdat" || moov == nil && (kind == "mdat" || kind == "moof"):
			return nil, false, nil
		case kind == "mdat" || kind == "moof":
			return moov, true, nil
		case kind == "moov" && (moov != nil || length > maxHeader || at+length > size):
			return nil, false, nil
		case kind == "moov":
			moov = make([]byte, length-header)
			if _, err := r.ReadAt(moov, at+header); err != nil {
				return nil, false, fmt.Errorf("probe: %w", err)
			}
		case moov != nil && !behind[kind]:
			return nil, false, nil
		}
		at += length
	}
	return nil, false, nil
}

// Plain says of a whole file that Head called one to be read forward, that nothing behind
// its start asks for another reading: no box behind an MP4's index that may change it.
func Plain(v source.Vault, file string) bool {
	mp4, inOrder, err := boxes(v, file)
	return err == nil && (inOrder || !mp4)
}

// Indexed says of a whole file whether FFmpeg finds nothing in it that its start has not told: an
// MP4 with one index, in front, and no fragments. Its errors are Look's.
func Indexed(v source.Vault, file string) (bool, error) {
	facts, err := Look(v, file)
	if err != nil {
		return false, err
	}
	start, forward, err := Head(v, file)
	if err != nil || !forward || start.Streamed || len(facts.Warnings) > 0 || facts.Torn {
		return false, err
	}
	mp4, inOrder, err := boxes(v, file)
	return mp4 && inOrder, err
}

// boxes says of a whole file whether it is an MP4, and whether nothing stands behind its index
// that may change it.
func boxes(v source.Vault, file string) (mp4, inOrder bool, err error) {
	f, err := v.Open(file)
	if err != nil {
		return false, false, fmt.Errorf("probe: %w", err)
	}
	defer f.Close()
	first := make([]byte, 16)
	if _, err := f.ReadAt(first, 0); err != nil {
		return false, false, fmt.Errorf("probe: %w", err)
	}
	if !startsMP4(first) {
		return false, false, nil
	}
	for at, n := int64(0), 0; at < f.Size(); n++ {
		kind, length, _, err := boxAt(f, at)
		switch {
		case err != nil || n == maxBoxes || inOrder && !behind[kind]:
			return true, false, nil
		case length == 0:
			return true, true, nil
		}
		inOrder = inOrder || kind == "moov"
		at += length
	}
	return true, inOrder, nil
}

// fragmented says whether an MP4's index announces fragments.
func fragmented(moov []byte) (found bool) {
	each(moov, func(kind string, _, _ []byte) { found = found || kind == "mvex" })
	return found
}
