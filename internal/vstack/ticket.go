package vstack

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"
)

// Bounds of tickets. How many there are is part of the catalog's format: members must come
// to the same ones.
const (
	MaxTickets    = 256
	MaxTicketUses = 10_000
	MaxTicketLife = 366 * 24 * time.Hour
	MaxTicketNote = 200 // bytes
)

// TicketID names a ticket without giving it away: the SHA-256 of its token.
type TicketID [sha256.Size]byte

// Ticket is the right to upload, of whoever has its token.
type Ticket struct {
	ID      TicketID  `json:"id"`
	Note    string    `json:"note,omitzero"`  // whom it is for
	Bytes   int64     `json:"bytes,omitzero"` // most that one file may have; 0: no bound of its own
	Uses    int       `json:"uses"`           // files that it is still good for
	Expires time.Time `json:"expires"`
	Created time.Time `json:"created"`
}

// NewTicketToken draws a token of 256 random bits.
func NewTicketToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// TicketOf names the ticket of a token.
func TicketOf(token string) TicketID { return sha256.Sum256([]byte(token)) }

// ParseTicketID reads 64 hex digits.
func ParseTicketID(s string) (id TicketID, err error) {
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("ticket %q: %w: want 64 hex digits", clip(s), ErrInvalid)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return TicketID{}, fmt.Errorf("ticket %q: %w: want 64 hex digits", clip(s), ErrInvalid)
	}
	return id, nil
}

func (t TicketID) String() string               { return hex.EncodeToString(t[:]) }
func (t TicketID) IsZero() bool                 { return t == TicketID{} }
func (t TicketID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
func (t *TicketID) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTicketID(string(b))
	return err
}

// Check reports what no ticket may say.
func (t Ticket) Check(now time.Time) error {
	switch life := t.Expires.Sub(now); {
	case t.ID.IsZero():
		return fmt.Errorf("ticket: %w: no id", ErrInvalid)
	case t.Uses < 1 || t.Uses > MaxTicketUses:
		return fmt.Errorf("ticket for %d files: %w: want 1 to %d", t.Uses, ErrInvalid, MaxTicketUses)
	case t.Bytes < 0:
		return fmt.Errorf("ticket for files of %d bytes: %w", t.Bytes, ErrInvalid)
	case life <= 0 || life > MaxTicketLife:
		return fmt.Errorf("ticket for %s: %w: want at most %s", life, ErrInvalid, MaxTicketLife)
	case len(t.Note) > MaxTicketNote:
		return fmt.Errorf("ticket's note of %d bytes: %w: at most %d", len(t.Note), ErrInvalid, MaxTicketNote)
	}
	return nil
}
