package index

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// table finds entries by chunk and piece. Its cells lie one behind the other, without holes
// and without pointers, so that it takes 56 bytes a cell and at most an eighth more of room
// to grow, and 6 to 11 for finding it: Go's maps of the same take up to 121. All pieces of a
// chunk have one hash, so that one probe finds them all.
type table struct {
	seed  maphash.Seed
	cells []cell
	// places is open addressing: 0 is empty, else the number of a cell and one. Between
	// three eighths and three quarters of it are full.
	places []uint32
}

// cell is one piece: 56 bytes.
type cell struct {
	id vstack.ChunkID
	e  Entry
}

// minPlaces is the smallest table's; a power of two.
const minPlaces = 8

func (t *table) home(id vstack.ChunkID) int {
	return int(maphash.Bytes(t.seed, id[:]) & uint64(len(t.places)-1)) //nolint:gosec // below the length
}

func (t *table) after(place int) int { return (place + 1) & (len(t.places) - 1) }

// find is the place of a piece, and false if it is not there.
func (t *table) find(id vstack.ChunkID, p vstack.Piece) (place int, ok bool) {
	if len(t.cells) == 0 {
		return 0, false
	}
	for at := t.home(id); t.places[at] != 0; at = t.after(at) {
		if c := &t.cells[t.places[at]-1]; c.id == id && c.e.Piece() == p {
			return at, true
		}
	}
	return 0, false
}

func (t *table) get(id vstack.ChunkID, p vstack.Piece) (Entry, bool) {
	at, ok := t.find(id, p)
	if !ok {
		return Entry{}, false
	}
	return t.cells[t.places[at]-1].e, true
}

// each calls visit with every piece of a chunk.
func (t *table) each(id vstack.ChunkID, visit func(Entry)) {
	if len(t.cells) == 0 {
		return
	}
	for at := t.home(id); t.places[at] != 0; at = t.after(at) {
		if c := &t.cells[t.places[at]-1]; c.id == id {
			visit(c.e)
		}
	}
}

// put sets the entry of a piece.
func (t *table) put(id vstack.ChunkID, e Entry) {
	if at, ok := t.find(id, e.Piece()); ok {
		t.cells[t.places[at]-1].e = e
		return
	}
	if len(t.cells) == cap(t.cells) { // append would leave up to half of it empty
		t.cells = append(make([]cell, 0, len(t.cells)+max(8, len(t.cells)/8)), t.cells...)
	}
	t.cells = append(t.cells, cell{id, e})
	if 4*len(t.cells) > 3*len(t.places) {
		t.rehash(max(minPlaces, 2*len(t.places)))
		return
	}
	t.place(len(t.cells))
}

// place enters a cell by its number and one.
func (t *table) place(number int) {
	at := t.home(t.cells[number-1].id)
	for t.places[at] != 0 {
		at = t.after(at)
	}
	t.places[at] = uint32(number)
}

func (t *table) rehash(places int) {
	t.places = make([]uint32, places)
	for i := range t.cells {
		t.place(i + 1)
	}
}

// remove takes a piece out, and gives memory back once three quarters are not needed.
func (t *table) remove(id vstack.ChunkID, p vstack.Piece) {
	at, ok := t.find(id, p)
	if !ok {
		return
	}
	hole := t.places[at]
	t.vacate(at)
	last := len(t.cells)
	if int(hole) != last { // the last cell moves into the hole
		moved := t.cells[last-1]
		at, _ := t.find(moved.id, moved.e.Piece())
		t.cells[hole-1], t.places[at] = moved, hole
	}
	t.cells = t.cells[:last-1]
	if len(t.places) > minPlaces && 8*len(t.cells) < len(t.places) {
		t.cells = slices.Clone(t.cells)
		t.rehash(len(t.places) / 4)
	}
}

// vacate empties a place and closes the gap, so that no search ends in it too early.
func (t *table) vacate(at int) {
	mask := len(t.places) - 1
	for next := t.after(at); t.places[next] != 0; next = t.after(next) {
		home := t.home(t.cells[t.places[next]-1].id)
		if (next-home)&mask >= (next-at)&mask { // it may lie as far back as the gap
			t.places[at], at = t.places[next], next
		}
	}
	t.places[at] = 0
}

// page calls visit with every piece of the chunks behind after, in order of the chunks and
// of their pieces.
func (t *table) page(after vstack.ChunkID, visit func(vstack.ChunkID, Entry)) {
	var found []uint32
	for i := range t.cells {
		if slices.Compare(t.cells[i].id[:], after[:]) > 0 {
			found = append(found, uint32(i))
		}
	}
	slices.SortFunc(found, func(a, b uint32) int {
		x, y := &t.cells[a], &t.cells[b]
		return cmp.Or(slices.Compare(x.id[:], y.id[:]), cmp.Compare(x.e.pieceKey(), y.e.pieceKey()))
	})
	for _, i := range found {
		visit(t.cells[i].id, t.cells[i].e)
	}
}
