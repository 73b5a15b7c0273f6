package rows

import (
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/sums"
)

// Request is a request id with its first answer. Most writes leave one, so they are
// not in a table, whose trees would be the larger part of applying a command: the meta
// row's Answers lists them, and the catalog finds them by a map of its own. Answers is appended to
// at its end and cut at its front and nothing in it is ever changed, so that the views
// of older indexes keep theirs.
type Request struct {
	ID     string         `json:"id"`
	Type   command.Type   `json:"type"`
	Result command.Result `json:"result"`

	sum sums.Sum
}

// hash covers the answer, below vstack.LevelFormats with the text of a refusal: those texts
// are frozen, since members of different programs must come to one checksum. The object in it
// was a row at the answer's index, and counted there, so that it is named here and not encoded again.
func (r *Request) hash(level vstack.Level) sums.Sum {
	detail := r.Result.Detail
	if level >= vstack.LevelFormats {
		detail = ""
	}
	return command.Sum(r.ID, r.Type, &r.Result, detail)
}

// Seal computes the answer's checksum.
func (r *Request) Seal(level vstack.Level) { r.sum = r.hash(level) }

// Checksum is what Seal computed.
func (r *Request) Checksum() sums.Sum { return r.sum }
