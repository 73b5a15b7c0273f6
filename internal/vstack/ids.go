package vstack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// UUID is the 16 bytes of an RFC 9562 identifier. Packages that need a fresh one
// make it with a UUID library and convert; this package only reads and writes them.
type UUID [16]byte

// ParseUUID reads the canonical 8-4-4-4-12 form, lower or upper case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("parse UUID %q: %w: want 8-4-4-4-12 hex digits", clip(s), ErrInvalid)
	}
	digits := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, fmt.Errorf("parse UUID %q: %w: %v", clip(s), ErrInvalid, err)
	}
	return u, nil
}

func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// IsZero reports whether the identifier was never set.
func (u UUID) IsZero() bool { return u == UUID{} }

// The identifiers below share UUID's text form and differ only in meaning, so that
// the compiler refuses one in another's place.
type (
	// VideoID names a video. It is a UUIDv7 and is never reused, not even after deletion.
	VideoID UUID
	// UploadID names an upload of one video; resuming keeps it, and changes the Incarnation.
	UploadID UUID
	// StoreID names one data directory of one datanode, for as long as its bytes live.
	// An emptied or foreign directory is a new store with a new StoreID.
	StoreID UUID
	// ClusterID names a cluster: made with its first placement, and kept by every store
	// that was ever part of it.
	ClusterID UUID
	// ProposerID names one proposer process for one incarnation of one upload.
	ProposerID UUID
)

func (v VideoID) String() string    { return UUID(v).String() }
func (u UploadID) String() string   { return UUID(u).String() }
func (s StoreID) String() string    { return UUID(s).String() }
func (p ProposerID) String() string { return UUID(p).String() }
func (c ClusterID) String() string  { return UUID(c).String() }

func (v VideoID) IsZero() bool    { return UUID(v).IsZero() }
func (u UploadID) IsZero() bool   { return UUID(u).IsZero() }
func (s StoreID) IsZero() bool    { return UUID(s).IsZero() }
func (p ProposerID) IsZero() bool { return UUID(p).IsZero() }
func (c ClusterID) IsZero() bool  { return UUID(c).IsZero() }

func (v VideoID) MarshalText() ([]byte, error)    { return []byte(v.String()), nil }
func (u UploadID) MarshalText() ([]byte, error)   { return []byte(u.String()), nil }
func (s StoreID) MarshalText() ([]byte, error)    { return []byte(s.String()), nil }
func (p ProposerID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
func (c ClusterID) MarshalText() ([]byte, error)  { return []byte(c.String()), nil }

func (v *VideoID) UnmarshalText(b []byte) error    { return unmarshalUUID((*UUID)(v), b) }
func (u *UploadID) UnmarshalText(b []byte) error   { return unmarshalUUID((*UUID)(u), b) }
func (s *StoreID) UnmarshalText(b []byte) error    { return unmarshalUUID((*UUID)(s), b) }
func (p *ProposerID) UnmarshalText(b []byte) error { return unmarshalUUID((*UUID)(p), b) }
func (c *ClusterID) UnmarshalText(b []byte) error  { return unmarshalUUID((*UUID)(c), b) }

func unmarshalUUID(dst *UUID, b []byte) (err error) {
	*dst, err = ParseUUID(string(b))
	return err
}

// ParseVideoID reads the canonical text form of a VideoID.
func ParseVideoID(s string) (VideoID, error) { u, err := ParseUUID(s); return VideoID(u), err }

// ParseUploadID reads the canonical text form of an UploadID.
func ParseUploadID(s string) (UploadID, error) { u, err := ParseUUID(s); return UploadID(u), err }

// ParseStoreID reads the canonical text form of a StoreID.
func ParseStoreID(s string) (StoreID, error) { u, err := ParseUUID(s); return StoreID(u), err }

// HostID names a failure domain: one machine, given by its operator ("h1").
// It is 1 to 63 characters of a-z, 0-9 and '-', and starts with a letter or digit.
type HostID string

// ParseHostID checks the rules of HostID.
func ParseHostID(s string) (HostID, error) {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' {
		return "", fmt.Errorf("host %q: %w: want 1 to 63 of a-z 0-9 -", clip(s), ErrInvalid)
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "", fmt.Errorf("host %q: %w: want 1 to 63 of a-z 0-9 -", clip(s), ErrInvalid)
		}
	}
	return HostID(s), nil
}

// ChunkID is the SHA-256 of a chunk's bytes; its text form is 64 lower-case hex digits.
type ChunkID [sha256.Size]byte

// ChunkIDOf hashes b.
func ChunkIDOf(b []byte) ChunkID { return sha256.Sum256(b) }

// ParseChunkID reads 64 hex digits.
func ParseChunkID(s string) (ChunkID, error) {
	var id ChunkID
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("chunk %q: %w: want 64 hex digits", clip(s), ErrInvalid)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ChunkID{}, fmt.Errorf("chunk %q: %w: want 64 hex digits", clip(s), ErrInvalid)
	}
	return id, nil
}

func (c ChunkID) String() string               { return hex.EncodeToString(c[:]) }
func (c ChunkID) Short() string                { return hex.EncodeToString(c[:6]) }
func (c ChunkID) IsZero() bool                 { return c == ChunkID{} }
func (c ChunkID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
func (c *ChunkID) UnmarshalText(b []byte) (err error) {
	*c, err = ParseChunkID(string(b))
	return err
}

// Slot is the place of one chunk in a video. Sequence 0 of a track is its init
// chunk; media chunks count from 1 without gaps.
type Slot struct {
	Video VideoID
	Track uint16
	Seq   uint32
}

// ParseSlot reads VIDEO/TRACK/SEQ.
func ParseSlot(s string) (Slot, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Slot{}, fmt.Errorf("slot %q: %w: want VIDEO/TRACK/SEQ", clip(s), ErrInvalid)
	}
	video, err := ParseVideoID(parts[0])
	if err != nil {
		return Slot{}, fmt.Errorf("slot %q: %w", clip(s), err)
	}
	track, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil {
		return Slot{}, fmt.Errorf("slot %q: %w: track: %v", clip(s), ErrInvalid, err)
	}
	seq, err := strconv.ParseUint(parts[2], 10, 32)
	if err != nil {
		return Slot{}, fmt.Errorf("slot %q: %w: sequence: %v", clip(s), ErrInvalid, err)
	}
	return Slot{Video: video, Track: uint16(track), Seq: uint32(seq)}, nil
}

func (s Slot) String() string {
	return s.Video.String() + "/" + strconv.FormatUint(uint64(s.Track), 10) + "/" + strconv.FormatUint(uint64(s.Seq), 10)
}
func (s Slot) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s *Slot) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSlot(string(b))
	return err
}

// clip bounds what a hostile identifier may add to an error text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
