package vstack

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// LeafSize is the unit of verification: every leaf of a chunk but the last has it.
const LeafSize = 64 << 10

// MaxLeaves bounds the leaves of a chunk.
const MaxLeaves = MaxChunkSize / LeafSize

// LeafTable is the SHA-256 of each leaf of a chunk, one behind the other: 32 bytes a
// leaf. With the chunk's size and a root that is trusted it proves any leaf by itself, so
// that a range is verified as it arrives.
type LeafTable []byte

// LeafRoot is the SHA-256 of a chunk's flat leaf table. Zero says that none is known.
type LeafRoot [sha256.Size]byte

// Leaves is the number of leaves of a chunk of size bytes.
func Leaves(size uint32) int { return int((uint64(size) + LeafSize - 1) / LeafSize) }

// LeavesOf hashes a chunk leaf by leaf.
func LeavesOf(chunk []byte) LeafTable {
	t := make(LeafTable, 0, Leaves(uint32(len(chunk)))*sha256.Size)
	for len(chunk) > 0 {
		n := min(LeafSize, len(chunk))
		leaf := sha256.Sum256(chunk[:n])
		t, chunk = append(t, leaf[:]...), chunk[n:]
	}
	return t
}

// Root hashes the table.
func (t LeafTable) Root() LeafRoot { return sha256.Sum256(t) }

// Len is the number of leaves in the table.
func (t LeafTable) Len() int { return len(t) / sha256.Size }

// Fits reports as ErrInvalid that the table is not one of a chunk of size bytes.
func (t LeafTable) Fits(size uint32) error {
	if want := Leaves(size) * sha256.Size; size > MaxChunkSize || len(t) != want {
		return fmt.Errorf("leaf table of %d bytes: %w: a chunk of %d bytes has %d", len(t), ErrInvalid, size, want)
	}
	return nil
}

// Check reports as ErrHashMismatch that the table is not the one of the chunk of size
// bytes that root stands for. Such a table proves nothing, and nothing against its sender
// either: it may have been stored with the chunk by somebody else.
func (t LeafTable) Check(size uint32, root LeafRoot) error {
	if err := t.Fits(size); err != nil {
		return fmt.Errorf("%w: %v", ErrHashMismatch, err)
	}
	if got := t.Root(); got != root {
		return fmt.Errorf("leaf table: %w: its root is %s, want %s", ErrHashMismatch, got, root)
	}
	return nil
}

// Verify wants b, the chunk's bytes from off, to be what the table says: ErrHashMismatch
// names the first leaf that is not. off is a multiple of LeafSize, and b ends at another or
// at the chunk's end. The table must have been checked.
func (t LeafTable) Verify(size, off uint32, b []byte) error {
	end := uint64(off) + uint64(len(b))
	if err := t.Fits(size); err != nil {
		return err
	}
	if off%LeafSize != 0 || end > uint64(size) || end%LeafSize != 0 && end != uint64(size) {
		return fmt.Errorf("verify %d bytes at %d of %d: %w: not whole leaves", len(b), off, size, ErrRangeInvalid)
	}
	for i := int(off / LeafSize); len(b) > 0; i++ {
		n := min(LeafSize, len(b))
		if leaf := sha256.Sum256(b[:n]); [sha256.Size]byte(t[i*sha256.Size:]) != leaf {
			return fmt.Errorf("leaf %d of a chunk of %d bytes: %w", i, size, ErrHashMismatch)
		}
		b = b[n:]
	}
	return nil
}

// LeafRange widens length bytes at off to whole leaves of a chunk of size bytes.
func LeafRange(size, off, length uint32) (from, to uint32) {
	from = min(off, size) / LeafSize * LeafSize
	end := min(uint64(off)+uint64(length), uint64(size))
	end = min((end+LeafSize-1)/LeafSize*LeafSize, uint64(size))
	return from, uint32(max(end, uint64(from)))
}

// String is the table in base64, the form of the header Vstack-Leaves: 1.4 KB for 2 MiB.
func (t LeafTable) String() string { return base64.StdEncoding.EncodeToString(t) }

// ParseLeafTable reads String's form and wants the table of a chunk of size bytes.
func ParseLeafTable(s string, size uint32) (LeafTable, error) {
	if len(s) > base64.StdEncoding.EncodedLen(MaxLeaves*sha256.Size) {
		return nil, fmt.Errorf("leaf table of %d characters: %w: more than %d leaves", len(s), ErrInvalid, MaxLeaves)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || LeafTable(b).String() != s { // it skips line ends
		return nil, fmt.Errorf("leaf table %q: %w: want base64 (%v)", clip(s), ErrInvalid, err)
	}
	if err := LeafTable(b).Fits(size); err != nil {
		return nil, err
	}
	return b, nil
}

func (r LeafRoot) String() string               { return hex.EncodeToString(r[:]) }
func (r LeafRoot) IsZero() bool                 { return r == LeafRoot{} }
func (r LeafRoot) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
func (r *LeafRoot) UnmarshalText(b []byte) error {
	id, err := ParseChunkID(string(b))
	if err != nil {
		return fmt.Errorf("leaf root: %w", err)
	}
	*r = LeafRoot(id)
	return nil
}
