package vstack

import (
	"fmt"
	"slices"
)

// Layout says how the chunks of a video lie in classes that ask for fragments. It is stored
// with the video when the class is left in which all chunks are copies, and stays until the
// video is back in it: changing it is a change of class.
type Layout struct {
	Scheme Scheme `json:"scheme"`
	// Head is how many seconds of each track of video and audio stay copies, so that a cold
	// film starts like a hot one.
	Head uint32 `json:"head"`
	// Small is the size in bytes below which a chunk stays a copy. Init chunks always do.
	Small uint32 `json:"small"`
}

// maxHead bounds the hot head, in seconds.
const maxHead = 24 * 60 * 60

// DefaultLayout is what videos get that are not given another.
var DefaultLayout = Layout{Scheme: DefaultScheme, Head: 4, Small: LeafSize}

// IsZero reports whether no layout was ever stored.
func (l Layout) IsZero() bool { return l == Layout{} }

// Check reports as ErrInvalid what is no layout.
func (l Layout) Check() error {
	if err := l.Scheme.Check(); err != nil {
		return err
	}
	if l.Head > maxHead || l.Small > MaxChunkSize {
		return fmt.Errorf("hot head of %d s, copies below %d bytes: %w: want at most %d s and %d bytes", l.Head, l.Small, ErrInvalid, maxHead, MaxChunkSize)
	}
	return nil
}

// Kept says which chunks of a video stay copies whatever its class asks for: init chunks,
// those below a size, and the first ones of its tracks.
type Kept struct {
	Small uint32     // bytes
	Heads []HotStart // of tracks that have one, in their order
}

// HotStart is the hot head of one track: its chunks up to a sequence number.
type HotStart struct {
	Track uint16
	Last  uint32
}

// Kept is what the layout keeps of a manifest's chunks as copies.
func (l Layout) Kept(m *Manifest) Kept {
	k := Kept{Small: l.Small}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if t.Kind != TrackVideo && t.Kind != TrackAudio || l.Head == 0 {
			continue
		}
		end := int64(l.Head) * int64(t.Timescale)
		n := slices.IndexFunc(t.Chunks, func(c ChunkRef) bool { return c.Start >= end })
		if n < 0 {
			n = len(t.Chunks)
		}
		if n > 0 {
			k.Heads = append(k.Heads, HotStart{Track: t.Number, Last: uint32(n)})
		}
	}
	return k
}

// Has reports whether a chunk stays a copy.
func (k Kept) Has(track uint16, seq, size uint32) bool {
	return seq == 0 || size < k.Small || slices.ContainsFunc(k.Heads, func(h HotStart) bool { return h.Track == track && seq <= h.Last })
}

// Fragments reports whether it is fragments that keep a video of the class readable: during
// a transition that is what the class before it held.
func (c StorageClass) Fragments() bool { return c == ClassCold || c == ClassWarming }

// Next lists the classes that a class may be followed by: the next step, and the way back
// from one that is under way.
func (c StorageClass) Next() []StorageClass {
	switch c {
	case ClassHot:
		return []StorageClass{ClassCooling}
	case ClassCooling:
		return []StorageClass{ClassCold, ClassHot}
	case ClassCold:
		return []StorageClass{ClassWarming}
	case ClassWarming:
		return []StorageClass{ClassHot, ClassCold}
	}
	return nil
}

// CarryFragments are the fragment numbers of the targets of a group's next epoch: a store
// that stays keeps its number, wherever it stands, and a newcomer takes that of one that
// leaves; beyond these, the lowest that is free. Nil says that each is its position.
func (p PGTargets) CarryFragments(targets []StoreID) []FragmentNumber {
	var free []FragmentNumber
	for i, id := range p.Targets {
		if !slices.Contains(targets, id) {
			free = append(free, p.Fragment(i))
		}
	}
	slices.Sort(free)
	numbers := make([]FragmentNumber, len(targets))
	taken := make(map[FragmentNumber]bool, len(targets))
	for i, id := range targets {
		if at := p.Index(id); at >= 0 {
			numbers[i] = p.Fragment(at)
			taken[numbers[i]] = true
		}
	}
	plain := true
	next := FragmentNumber(0)
	for i, id := range targets {
		switch {
		case p.Index(id) >= 0:
		case len(free) > 0:
			numbers[i], free = free[0], free[1:]
		default:
			for taken[next] {
				next++
			}
			numbers[i] = next
		}
		taken[numbers[i]] = true
		plain = plain && numbers[i] == FragmentNumber(i)
	}
	if plain {
		return nil
	}
	return numbers
}
