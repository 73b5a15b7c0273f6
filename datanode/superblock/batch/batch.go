package batch

import (
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vstack"
)

// Batch is the records of one append, kept all or none.
type Batch struct {
	Recs []Staged
	Len  int64 // in the file
	// Version is that of the file that Recs are laid out for.
	Version format.Version
}

// Staged is a record with all that can be computed before its place is known.
type Staged struct {
	Header format.Header
	Buf    []byte // the encoded header
	Off    int64

	blocks []uint32 // with the leaf table's, which V1 leaves out
	data   []byte
	leaves []byte
	sealed *seal.Sealed // nil for what is not encrypted here
}

// New prepares records; lsns are those of records that keep theirs, nil for new ones. With a
// box data is encrypted, unless it comes so; who does that gives the batch its Release.
func New(recs []format.Record, lsns []vstack.LSN, box *seal.Box) Batch {
	b := Batch{Recs: make([]Staged, len(recs))}
	for i, rec := range recs {
		st := &b.Recs[i]
		if box != nil && rec.Sealing == nil && len(rec.Data) > 0 {
			st.sealed = box.Seal(rec.Value, rec.Piece, rec.Data, rec.Leaves)
			rec.Data, rec.Leaves = st.sealed.Data, st.sealed.Leaves
			rec.KeyGeneration, rec.Sealing = box.Generation(), &st.sealed.Sealing
			st.blocks = st.sealed.CRCs
		} else {
			st.blocks = format.BlockCRCs(rec.Data, rec.Leaves)
		}
		st.data, st.leaves = rec.Data, rec.Leaves
		st.Header = format.Header{Record: rec, DataLen: uint32(len(rec.Data)), BatchIndex: uint16(i), BatchCount: uint16(len(recs)), Tagged: rec.Sealing != nil}
		if lsns != nil {
			st.Header.LSN = lsns[i]
		}
		st.Header.Data, st.Header.Leaves = nil, nil
	}
	return b
}

// Release gives up the memory that New took for encrypted data: the batch is on disk, or will
// never be.
func (b *Batch) Release() {
	for i := range b.Recs {
		if st := &b.Recs[i]; st.sealed != nil {
			st.sealed.Release()
			st.data, st.leaves = nil, nil
		}
	}
}

// Lay gives all records the form that they have in a file of a version.
func (b *Batch) Lay(v format.Version) {
	b.Version, b.Len = v, 0
	for i := range b.Recs {
		st := &b.Recs[i]
		st.Header.Version, st.Header.LeavesLen = v, 0
		if v >= format.V2 {
			st.Header.LeavesLen = uint32(len(st.leaves))
		}
		st.Buf = make([]byte, st.Header.Shape().HeaderLen())
		b.Len += st.Header.Len()
	}
}

// Place gives every record its offset, from off on, in the group that starts at group, and
// returns what is to be written. last says that the group ends with the batch.
func (b *Batch) Place(bufs [][]byte, off, group int64, salt uint64, last bool) [][]byte {
	for i := range b.Recs {
		st := &b.Recs[i]
		st.Off, st.Header.Group, st.Header.Salt = off, group, salt
		if last && i == len(b.Recs)-1 {
			st.Header.Flags |= format.FlagGroupEnd
		}
		st.Header.Encode(st.Buf, st.blocks[:st.Header.Shape().Blocks()], nil)
		bufs = padded(append(bufs, st.Buf), st.data)
		bufs = padded(bufs, st.leaves[:st.Header.LeavesLen])
		off += st.Header.Len()
	}
	return bufs
}

// zeros pads records.
var zeros [format.RecordAlign]byte

// padded appends b and the zeros behind it.
func padded(bufs [][]byte, b []byte) [][]byte {
	if n := int64(len(b)); n > 0 {
		bufs = append(bufs, b)
		if pad := format.Align(n, format.RecordAlign) - n; pad > 0 {
			bufs = append(bufs, zeros[:pad])
		}
	}
	return bufs
}
