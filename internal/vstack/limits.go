package vstack

import "time"

// The limits that more than one package enforces.
const (
	// ChunkSize is the size that a chunk of whole fragments stays within.
	ChunkSize = 2 << 20
	// MaxChunkSize bounds a chunk made of one single oversize fragment; beyond it an
	// input is refused.
	MaxChunkSize = 8 << 20
	// MaxChunkDuration bounds the presentation time of one chunk.
	MaxChunkDuration = 10 * time.Second
	// BlockSize is the unit of checksumming on disk.
	BlockSize = 64 << 10
	// PlacementGroups is the number of placement groups; it never changes.
	PlacementGroups = 128
	// Targets is the number of ordered target stores of a placement group, where no scheme of
	// the cluster needs more.
	Targets = 5
	// MaxTargets bounds it.
	MaxTargets = MaxFragments
	// Acceptors is how many of the first targets vote, and hold copies while hot.
	Acceptors = 3
	// Majority of the acceptors.
	Majority = Acceptors/2 + 1
	// MaxTracks bounds the tracks of one video, the kept original included.
	MaxTracks = 64
	// MaxTitle bounds a title, in bytes of UTF-8.
	MaxTitle = 512
)
