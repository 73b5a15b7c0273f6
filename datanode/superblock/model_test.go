package superblock

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// model is what a store must hold: the specification that tests compare with.
type model struct {
	chunks map[vstack.ChunkID][]byte
	// fragments are records with Data, as they read back.
	fragments map[fragmentKey]Record
	votes     map[vstack.Slot]Record
	promises  map[vstack.Slot]Record
	minimums  map[vstack.UploadID]Record
	groups    map[groupKey]Record // seals, amnesia, claims
	// installs are all that were ever written and not forgotten: current says which count.
	installs map[installKey]Record
	// attempts are the highest of each epoch, whether or not a record of them is left.
	attempts map[vstack.PG]map[vstack.Epoch]uint32
}

type fragmentKey struct {
	chunk vstack.ChunkID
	piece vstack.Piece
}

type groupKey struct {
	kind Kind
	pg   vstack.PG
}

// installKey is a staged vote, or with a zero slot an attempt's mark.
type installKey struct {
	pg      vstack.PG
	epoch   vstack.Epoch
	attempt uint32
	slot    vstack.Slot
	upload  vstack.UploadID
}

func newModel() *model {
	return &model{map[vstack.ChunkID][]byte{}, map[fragmentKey]Record{}, map[vstack.Slot]Record{}, map[vstack.Slot]Record{}, map[vstack.UploadID]Record{},
		map[groupKey]Record{}, map[installKey]Record{}, map[vstack.PG]map[vstack.Epoch]uint32{}}
}

func (m *model) clone() *model {
	out := &model{maps.Clone(m.chunks), maps.Clone(m.fragments), maps.Clone(m.votes), maps.Clone(m.promises), maps.Clone(m.minimums),
		maps.Clone(m.groups), maps.Clone(m.installs), map[vstack.PG]map[vstack.Epoch]uint32{}}
	for pg, epochs := range m.attempts {
		out.attempts[pg] = maps.Clone(epochs)
	}
	return out
}

// current are the staged votes and marks that count: of each of the two newest epochs
// those of the highest attempt.
func (m *model) current() map[installKey]Record {
	out := map[installKey]Record{}
	for k, r := range m.installs {
		newer := 0
		for e := range m.attempts[k.pg] {
			if e > k.epoch {
				newer++
			}
		}
		if newer < 2 && m.attempts[k.pg][k.epoch] == k.attempt {
			out[k] = r
		}
	}
	return out
}

// with returns the model after one more batch.
func (m *model) with(recs []Record) *model {
	out := m.clone()
	for _, r := range recs {
		out.apply(r)
	}
	return out
}

func (m *model) apply(r Record) {
	switch key := (fragmentKey{r.Value.Chunk, r.Piece}); r.Kind {
	case KindFragment:
		m.fragments[key] = r
		return
	case KindDropFragment:
		delete(m.fragments, key)
		return
	}
	data := r.Data
	r.Data, r.Leaves = nil, nil
	switch r.Kind {
	case KindChunk:
		m.chunks[r.Value.Chunk] = data
		if r.Voted {
			r.Kind = KindVote
			m.votes[r.Slot] = r
		}
	case KindVote:
		r.Voted = true
		m.votes[r.Slot] = r
	case KindPromise:
		m.promises[r.Slot] = r
	case KindMinimum:
		m.minimums[r.Upload] = r
	case KindSeal, KindAmnesia, KindClaim:
		m.groups[groupKey{r.Kind, r.PG}] = r
	case KindInstall:
		m.installs[installKey{r.PG, r.Epoch, r.Ballot.Round, r.Slot, r.Upload}] = r
		if m.attempts[r.PG] == nil {
			m.attempts[r.PG] = map[vstack.Epoch]uint32{}
		}
		m.attempts[r.PG][r.Epoch] = max(m.attempts[r.PG][r.Epoch], r.Ballot.Round)
	case KindDrop:
		delete(m.chunks, r.Value.Chunk)
	case KindForget:
		if !r.Slot.Video.IsZero() {
			delete(m.votes, r.Slot)
			delete(m.promises, r.Slot)
			return
		}
		delete(m.minimums, r.Upload)
		old := func(_ vstack.Slot, have Record) bool { return have.Upload == r.Upload }
		maps.DeleteFunc(m.votes, old)
		maps.DeleteFunc(m.promises, old)
		maps.DeleteFunc(m.installs, func(k installKey, _ Record) bool { return !k.slot.Video.IsZero() && k.upload == r.Upload })
	}
}

// resurfaces reports whether an attempt that is newer than k's has no record left.
func (m *model) resurfaces(k installKey) bool {
	left := map[vstack.Epoch]bool{}
	for have := range m.installs {
		if have.pg == k.pg && have.attempt == m.attempts[k.pg][have.epoch] {
			left[have.epoch] = true
		}
	}
	for e, highest := range m.attempts[k.pg] {
		if !left[e] && (e > k.epoch || e == k.epoch && highest > k.attempt) {
			return true
		}
	}
	return false
}

// observe reads everything a store holds, as a model.
func observe(s *Store) (*model, error) {
	got := newModel()
	var errs []error
	var after vstack.ChunkID
	for page := s.Inventory(after, 7); len(page) > 0; page = s.Inventory(after, 7) {
		for _, info := range page {
			b := make([]byte, info.Size)
			if _, err := s.ReadAt(context.Background(), info.ID, b, 0); err != nil {
				errs = append(errs, err)
			}
			if vstack.ChunkIDOf(b) != info.ID {
				errs = append(errs, fmt.Errorf("chunk %s reads as other bytes", info.ID.Short()))
			}
			if look, ok := s.Lookup(info.ID); !ok || look != info {
				errs = append(errs, fmt.Errorf("chunk %s: lookup %+v, inventory %+v", info.ID.Short(), look, info))
			}
			got.chunks[info.ID] = b
			after = info.ID
		}
	}
	errs = append(errs, got.observeFragments(s))
	seen := 0
	s.State(func(r Record, _ vstack.LSN) bool {
		got.apply(r)
		if r.Kind == KindClaim {
			if have, ok := s.Group(KindClaim, r.PG); !ok || !sameRecord(have, r) {
				errs = append(errs, fmt.Errorf("group %d has the claim %+v, the log %+v", r.PG, have, r))
			}
		}
		seen++
		return true
	})
	if seen != len(got.votes)+len(got.promises)+len(got.minimums)+len(got.groups)+len(got.current()) {
		errs = append(errs, fmt.Errorf("state yields %d records, some of them twice or superseded", seen))
	}
	return got, errors.Join(errs...)
}

// observeFragments reads every fragment that a store holds.
func (m *model) observeFragments(s *Store) error {
	var errs []error
	var after vstack.ChunkID
	for page := s.Fragments(after, 3); len(page) > 0; page = s.Fragments(after, 3) {
		for _, info := range page {
			r := Record{Kind: KindFragment, Piece: info.Piece, Value: vstack.Value{Chunk: info.ID, Size: info.Size}, Data: make([]byte, info.Piece.Size(info.Size))}
			_, err := s.ReadPieceAt(context.Background(), info.ID, info.Piece, r.Data, 0)
			leaves, lerr := s.PieceLeaves(context.Background(), info.ID, info.Piece)
			r.Leaves = leaves
			errs = append(errs, err, lerr)
			if look, ok := s.LookupPiece(info.ID, info.Piece); !ok || look != info {
				errs = append(errs, fmt.Errorf("fragment %s of %s: lookup %+v, list %+v", info.Piece, info.ID.Short(), look, info))
			}
			if !slices.Contains(s.Pieces(info.ID), info) {
				errs = append(errs, fmt.Errorf("fragment %s of %s is not among its chunk's pieces", info.Piece, info.ID.Short()))
			}
			m.fragments[fragmentKey{info.ID, info.Piece}] = r
			after = info.ID
		}
	}
	if n := s.Stats().Fragments; n != len(m.fragments) {
		errs = append(errs, fmt.Errorf("%d fragments counted, %d listed", n, len(m.fragments)))
	}
	return errors.Join(errs...)
}

// diff says how got differs from m; "" if it does not.
func (m *model) diff(got *model) string {
	var b bytes.Buffer
	diffMap(&b, "chunk", m.chunks, got.chunks, bytes.Equal)
	diffMap(&b, "fragment", m.fragments, got.fragments, func(a, b Record) bool {
		return a.Value == b.Value && bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Leaves, b.Leaves)
	})
	diffMap(&b, "vote", m.votes, got.votes, sameRecord)
	diffMap(&b, "promise", m.promises, got.promises, sameRecord)
	diffMap(&b, "minimum", m.minimums, got.minimums, sameRecord)
	diffMap(&b, "group", m.groups, got.groups, sameRecord)
	// Once all votes of an attempt without a mark are forgotten, a store that comes back
	// may have found the attempt before it: nothing in the log says that there was another.
	want, have := m.current(), got.current()
	for k := range have {
		if old, ok := m.installs[k]; ok && m.resurfaces(k) {
			want[k] = old
		}
	}
	diffMap(&b, "install", want, have, sameRecord)
	return b.String()
}

// sameRecord compares records without data.
func sameRecord(a, b Record) bool {
	return a.Kind == b.Kind && a.Slot == b.Slot && a.PG == b.PG && a.Epoch == b.Epoch && a.Upload == b.Upload &&
		a.Ballot == b.Ballot && a.Value == b.Value && a.Voted == b.Voted
}

func diffMap[K comparable, V any](b *bytes.Buffer, what string, want, got map[K]V, same func(a, b V) bool) {
	for k, w := range want {
		if g, ok := got[k]; !ok {
			fmt.Fprintf(b, "%s %v is missing; ", what, k)
		} else if !same(w, g) {
			fmt.Fprintf(b, "%s %v is %.200v, want %.200v; ", what, k, g, w)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			fmt.Fprintf(b, "%s %v was invented; ", what, k)
		}
	}
}

// randomBatch makes a valid batch that fits the model: about one PUT in two, and all
// the rest of an acceptor's life.
func randomBatch(m *model, rng *rand.Rand, maxData int) []Record {
	n := 1
	if rng.IntN(4) == 0 {
		n = 1 + rng.IntN(4)
	}
	next := m.clone()
	var recs []Record
	for range n {
		r := randomRecord(next, rng, maxData)
		next.apply(r)
		recs = append(recs, r)
	}
	return recs
}

func randomRecord(m *model, rng *rand.Rand, maxData int) Record {
	slot := slotOf(byte(1+rng.IntN(3)), uint32(rng.IntN(12)))
	if appendAs >= format.V3 && rng.IntN(5) == 0 {
		return randomFragment(m, rng, slot, maxData)
	}
	put := voted(payload(rng.Uint64N(40), 1+rng.IntN(maxData)), slot, rng.Uint32N(100))
	switch p := rng.IntN(100); {
	case p < 40:
		return put
	case p < 50:
		return stored(put.Data)
	case p < 65 && len(m.chunks) > 0:
		id := pickChunk(m, rng)
		put.Kind, put.Voted, put.Data, put.Leaves, put.Value = KindVote, false, nil, nil, vstack.Value{Chunk: id, Size: uint32(len(m.chunks[id]))}
		return put
	case p < 73:
		return Record{Kind: KindPromise, Slot: slot, PG: slot.PG(), Epoch: 2, Upload: put.Upload, Ballot: put.Ballot}
	case p < 77:
		return Record{Kind: KindMinimum, Upload: put.Upload, Ballot: put.Ballot}
	case p < 80:
		kind := []Kind{KindSeal, KindAmnesia, KindClaim}[rng.IntN(3)]
		return Record{Kind: kind, PG: slot.PG(), Epoch: vstack.Epoch(1 + rng.Uint64N(9)), Ballot: vstack.Ballot{Round: 1 + rng.Uint32N(3)}}
	case p < 85:
		return Record{Kind: KindForget, Slot: slot}
	case p < 87:
		return Record{Kind: KindForget, Upload: put.Upload}
	case p < 94 && len(m.chunks) > 0:
		id := pickChunk(m, rng)
		return randomInstall(rng, slot, put.Upload, vstack.Value{Chunk: id, Size: uint32(len(m.chunks[id]))})
	case len(m.chunks) > 0:
		return Record{Kind: KindDrop, Value: vstack.Value{Chunk: pickChunk(m, rng)}}
	}
	return put
}

// randomFragment stores a fragment of one of few chunks, some of which are here too, or
// drops one.
func randomFragment(m *model, rng *rand.Rand, slot vstack.Slot, maxData int) Record {
	if len(m.fragments) > 0 && rng.IntN(3) == 0 {
		keys := slices.SortedFunc(maps.Keys(m.fragments), func(a, b fragmentKey) int {
			return cmp.Or(bytes.Compare(a.chunk[:], b.chunk[:]), comparePieces(a.piece, b.piece))
		})
		k := keys[rng.IntN(len(keys))]
		return Record{Kind: KindDropFragment, Value: vstack.Value{Chunk: k.chunk}, Piece: k.piece}
	}
	return fragment(payload(rng.Uint64N(40), 1+rng.IntN(maxData)), uint8(rng.IntN(5)), slot)
}

// fragment is the record of fragment i of a chunk in 3+2. What a store does not look at,
// its data, is whatever depends on both.
func fragment(chunk []byte, i uint8, slot vstack.Slot) Record {
	r := stored(chunk)
	r.Kind, r.Piece, r.Slot, r.PG = KindFragment, vstack.Piece{Scheme: vstack.DefaultScheme, I: i}, slot, slot.PG()
	r.Data = payload(uint64(r.Value.Chunk[0])<<8|uint64(i), int(r.Piece.Size(r.Value.Size)))
	return r
}

// randomInstall is a staged vote or a mark of one of few attempts, so that they meet.
func randomInstall(rng *rand.Rand, slot vstack.Slot, up vstack.UploadID, v vstack.Value) Record {
	r := Record{Kind: KindInstall, PG: vstack.PG(rng.IntN(2)), Epoch: vstack.Epoch(2 + rng.IntN(4)), Ballot: vstack.Ballot{Round: 1 + rng.Uint32N(3)}}
	if rng.IntN(4) > 0 {
		r.Slot, r.Upload, r.Value = slot, up, v
	}
	return r
}

func pickChunk(m *model, rng *rand.Rand) (id vstack.ChunkID) {
	n := rng.IntN(len(m.chunks))
	best := make([]vstack.ChunkID, 0, len(m.chunks))
	for k := range m.chunks {
		best = append(best, k)
	}
	sortIDs(best)
	return best[n]
}
