package sums

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
)

// Sum is a hash of a set of rows: the lane-wise sum of their SHA-256, so that a row
// can be taken out again. It finds members that differ by accident or decay; it is no
// defence against somebody who picks the rows.
type Sum [4]uint64

// Plus adds rows.
func (s Sum) Plus(o Sum) Sum {
	for i := range s {
		s[i] += o[i]
	}
	return s
}

// Minus takes rows out again.
func (s Sum) Minus(o Sum) Sum {
	for i := range s {
		s[i] -= o[i]
	}
	return s
}

func (s Sum) String() string {
	var b []byte
	for _, lane := range s {
		b = binary.BigEndian.AppendUint64(b, lane)
	}
	return hex.EncodeToString(b)
}

// Of hashes a row of a table by its JSON, and what is hashed besides.
func Of(table string, v any, extra []byte) (Sum, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Sum{}, fmt.Errorf("checksum a row of %s: %w", table, err)
	}
	h := sha256.New()
	h.Write([]byte(table))
	h.Write([]byte{0})
	h.Write(extra)
	h.Write(b)
	return Lanes(h), nil
}

// Lanes is the sum of one hash.
func Lanes(h hash.Hash) (s Sum) {
	b := h.Sum(nil)
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return s
}
