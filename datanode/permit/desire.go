package permit

import "github.com/vstack/vstack/internal/vstack"

// Desire is what a target must hold of one chunk.
type Desire struct {
	Chunk    bool
	Fragment vstack.Piece // zero for none
}

// Wants reports whether a piece is desired.
func (d Desire) Wants(p vstack.Piece) bool {
	if p.IsChunk() {
		return d.Chunk
	}
	return p == d.Fragment
}

// DesireOf is the table of docs/redundancy.md: what a target must hold of a chunk of a video
// in a class. scheme is zero for a chunk that is a copy in every class; index is the store's
// among the targets, and number its fragment number. A store that is no target, index -1,
// must hold nothing.
func DesireOf(class vstack.StorageClass, scheme vstack.Scheme, index int, number vstack.FragmentNumber) Desire {
	if index < 0 {
		return Desire{}
	}
	copied := Desire{Chunk: index < vstack.Acceptors}
	if scheme.IsZero() {
		return copied
	}
	var fragment vstack.Piece
	if int(number) < scheme.Total() {
		fragment = vstack.Piece{Scheme: scheme, I: uint8(number)}
	}
	switch class {
	case vstack.ClassCold:
		return Desire{Fragment: fragment}
	case vstack.ClassCooling, vstack.ClassWarming:
		return Desire{Chunk: copied.Chunk, Fragment: fragment}
	default: // hot, and what a newer catalog may say: copies are never wrong
		return copied
	}
}

// KeepsReadable reports whether any of it keeps a video of the class readable, as opposed to
// what the video is on its way to: in a transition that is what the class before it asks for.
func (d Desire) KeepsReadable(class vstack.StorageClass, scheme vstack.Scheme) bool {
	if class.Fragments() && !scheme.IsZero() {
		return !d.Fragment.IsChunk()
	}
	return d.Chunk
}
