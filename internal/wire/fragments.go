package wire

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// FragmentsAsked is the value of HeaderFragments in a request.
const FragmentsAsked = "?"

// maxFragmentsHeld bounds what is read of HeaderFragments.
const maxFragmentsHeld = 4 * vstack.MaxFragments

// FragmentPath is the path of a fragment of a chunk.
func FragmentPath(id vstack.ChunkID, p vstack.Piece) string {
	return PathChunks + id.String() + "/fragments/" + p.String()
}

// FormatFragments is the value of HeaderFragments in an answer.
func FormatFragments(held []vstack.Piece) string {
	var b strings.Builder
	for i, p := range held {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// ParseFragments reads FormatFragments' form; what is no fragment is left out.
func ParseFragments(header string) []vstack.Piece {
	var held []vstack.Piece
	for text := range strings.SplitSeq(header, ",") {
		if p, err := vstack.ParsePiece(strings.TrimSpace(text)); err == nil && len(held) < maxFragmentsHeld {
			held = append(held, p)
		}
	}
	return held
}

// ReadFragment reads the answer to a GET of a whole fragment of size bytes: its bytes, or
// an error and what the store holds of the chunk instead. It leaves the body to be closed.
func ReadFragment(resp *http.Response, size uint32) (data []byte, held []vstack.Piece, err error) {
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, ParseFragments(resp.Header.Get(HeaderFragments)), ReadError(resp)
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength != int64(size) {
		return nil, nil, fmt.Errorf("%w: status %d with %d bytes, want %d", vstack.ErrInternal, resp.StatusCode, resp.ContentLength, size)
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(resp.Body, data); err != nil {
		return nil, nil, fmt.Errorf("body of a fragment: %w: %w", vstack.ErrUnavailable, err)
	}
	return data, nil, nil
}
