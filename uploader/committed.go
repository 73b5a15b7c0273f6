package uploader

import "github.com/vstack/vstack/internal/vstack"

// Committed is what became of one chunk's commit.
type Committed struct {
	Value vstack.Value
	Acks  int
	Sent  int64 // bytes put on the wire
}
