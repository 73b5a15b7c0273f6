package superblock

import (
	"context"

	"github.com/vstack/vstack/internal/vstack"
)

// ScrubReport says what Scrub read and found.
type ScrubReport struct {
	Chunks int   `json:"chunks"`
	Bytes  int64 `json:"bytes"`
	Bad    int   `json:"bad"` // chunks found bad, in this scrub or before
	Rot    int   `json:"rot"` // other damage: footers, padding, records of no account
}

// Scrub reads everything.
func (s *Store) Scrub(ctx context.Context, bytesPerSecond int64, bad func(vstack.ChunkID, error)) (ScrubReport, error) {
	return ScrubReport{}, ctx.Err()
}
