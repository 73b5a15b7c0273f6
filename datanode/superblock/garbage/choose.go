package garbage

import (
	"cmp"
	"slices"

	"github.com/vstack/vstack/datanode/superblock/format"
)

// File is a sealed file in figures.
type File struct {
	ID      uint32
	Size    int64 // bytes it takes
	Live    int64 // of them, records that count
	Records int   // all that it has
	Entry   int   // bytes of a footer entry
	// Rewrite asks for the file whatever it has: something of it is rotten.
	Rewrite bool
}

// Garbage is the bytes that writing the file anew would free.
func (f File) Garbage() int64 {
	footer := int64(f.Records) * int64(f.Entry)
	data := f.Size - format.FileHeaderLen - footer - format.TrailerLen
	if data <= 0 {
		return 0
	}
	live := min(f.Live, data)
	// Entries are as long as each other, and records are not: taking the live part of one
	// for that of the other is right where it matters, in files of pieces.
	return data - live + int64(float64(footer)*(1-float64(live)/float64(data)))
}

// Choose lists the files to write anew, worst first, until those that are left have at most
// overhead bytes of garbage for each live byte of all. A file of which less than least is
// garbage is not worth it.
func Choose(files []File, overhead, least float64) []uint32 {
	var live, garbage int64
	for _, f := range files {
		live += f.Live
		garbage += f.Garbage()
	}
	part := func(f File) float64 { return float64(f.Garbage()) / float64(max(f.Size, 1)) }
	order := slices.SortedFunc(slices.Values(files), func(a, b File) int {
		return cmp.Or(cmp.Compare(part(b), part(a)), cmp.Compare(a.ID, b.ID))
	})
	var ids []uint32
	for _, f := range order {
		over := float64(garbage) > overhead*float64(live)
		if f.Rewrite || over && part(f) >= least {
			ids = append(ids, f.ID)
			garbage -= f.Garbage()
		}
	}
	return ids
}

// Space is short when less than one part in shortPart of the capacity is free, and there is
// plenty with one part in plentyPart.
const (
	shortPart  = 16
	plentyPart = 4
)

// Overhead is how many bytes of garbage to leave for each live one: target while there is
// plenty of space, less of it as space runs out, and none once it is short, which it is in any
// case without room for two files.
func Overhead(target float64, free, capacity, file int64) float64 {
	short := max(capacity/shortPart, 2*file)
	plenty := max(capacity/plentyPart, 2*short)
	switch {
	case free <= short:
		return 0
	case free >= plenty:
		return target
	}
	return target * float64(free-short) / float64(plenty-short)
}
