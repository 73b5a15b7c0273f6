package files

import (
	"cmp"
	"math"
	"slices"

	"github.com/vstack/vstack/quicclient/gateway/mp4"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
)

// piece is a fragment of a joined file, or a whole chunk where the manifest does not say
// where its fragments are.
type piece struct {
	unit
	start, duration int64 // ticks of its track
	opens           bool  // a player may begin here
	at              float64
}

// Joined is film.mp4: the best picture and the first sound, fragment by fragment in
// the order of their times, with an index of each.
//
// FFmpeg, and what is built on it, looks for a seek's time once for each track, by the
// track's own index, and then goes on from entry to entry: every fragment needs one. It
// begins at whatever entry is next before the time, so only entries that a player may
// begin at get time; the others have a tick each, before the next such.
func Joined(f *playlist.Film) (Layout, error) {
	l := Layout{joined: true}
	if len(f.Video) > 0 {
		l.Tracks = append(l.Tracks, f.Video[0])
	}
	if len(f.Audio) > 0 {
		l.Tracks = append(l.Tracks, f.Audio[0])
	}
	if len(l.Tracks) == 0 {
		return l, nil
	}
	var all []piece
	for i, t := range l.Tracks {
		all = append(all, piecesOf(i, t)...)
	}
	slices.SortStableFunc(all, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
	offsets := make([]int64, len(all)+1)
	for i := range all {
		all[i].number = uint32(i + 1)
		l.units = append(l.units, all[i].unit)
		offsets[i+1] = offsets[i] + int64(all[i].part.Length)
	}
	// The index of the last track stands behind the others', next to the bytes.
	for i := len(l.Tracks) - 1; i >= 0; i-- {
		first, refs := references(i, all, offsets)
		if len(refs) == 0 || len(refs) > mp4.MaxReferences {
			continue // a player has to look for itself
		}
		b, err := mp4.Index(uint32(i+1), l.Tracks[i].Timescale, all[first].start, offsets[first]+int64(len(l.index)), refs)
		if err != nil {
			return l, err
		}
		l.index = slices.Concat(b, l.index)
	}
	return l, nil
}

// piecesOf lists a track's fragments.
func piecesOf(track int, t playlist.Track) []piece {
	var out []piece
	add := func(p playlist.Part, start, duration int64, opens bool) {
		out = append(out, piece{unit: unit{track: track, part: p}, start: start, duration: duration, opens: opens, at: float64(start) / float64(t.Timescale)})
	}
	for i, c := range t.Chunks {
		if len(c.Fragments) == 0 {
			add(playlist.Part{Chunk: i, Length: int(c.Size)}, c.Start, c.Duration, c.Keyframe || len(out) == 0)
			continue
		}
		at, start := 0, c.Start
		for _, f := range c.Fragments {
			add(playlist.Part{Chunk: i, Offset: at, Length: int(f.Size)}, start, f.Duration, f.Keyframe || len(out) == 0)
			at, start = at+int(f.Size), start+f.Duration
		}
	}
	return out
}

// references are the entries of one track's index: each from one of its fragments to its
// next one, whatever lies between; first is the first of them in all.
func references(track int, all []piece, offsets []int64) (first int, refs []mp4.Reference) {
	var mine []int
	for i := range all {
		if all[i].track == track {
			mine = append(mine, i)
		}
	}
	if len(mine) == 0 {
		return 0, nil
	}
	open := 0 // the last reference that a player may begin at
	for k, i := range mine {
		end := offsets[len(offsets)-1]
		if k+1 < len(mine) {
			end = offsets[mine[k+1]]
		}
		if end-offsets[i] > math.MaxInt32 || all[i].duration > math.MaxUint32/2 {
			return 0, nil
		}
		refs = append(refs, mp4.Reference{Size: uint32(end - offsets[i]), Duration: uint32(all[i].duration), Key: all[i].opens})
		if all[i].opens {
			open = k
		} else if refs[open].Duration+refs[k].Duration > 1 && refs[k].Duration > 0 {
			refs[open].Duration += refs[k].Duration - 1
			refs[k].Duration = 1
		}
	}
	return mine[0], refs
}
