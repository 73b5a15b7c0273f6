package vstack

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Bounds of revocations. How many there are is part of the catalog's format.
const (
	MaxRevocations    = 1024
	MaxRevocationNote = 200 // bytes
)

// Revocation takes certificates their rights before they expire: those of a host or an
// administrator that were issued until then, or one by its serial number.
type Revocation struct {
	// Subject is whose certificates: "host h3" or "admin ann". Or Serial is of one, in hex
	// without leading zeros.
	Subject string `json:"subject,omitzero"`
	Serial  string `json:"serial,omitzero"`
	// Before is when the validity of the subject's next good certificate begins.
	Before time.Time `json:"before,omitzero"`
	Note   string    `json:"note,omitzero"` // why
	At     time.Time `json:"at"`
}

// Key is what there is one revocation of.
func (r Revocation) Key() string {
	if r.Serial != "" {
		return "serial " + r.Serial
	}
	return r.Subject
}

// Check reports what no revocation may say.
func (r Revocation) Check() error {
	kind, name, _ := strings.Cut(r.Subject, " ")
	switch {
	case (r.Subject == "") == (r.Serial == ""):
		return fmt.Errorf("revocation: %w: want a subject or a serial number", ErrInvalid)
	case r.Subject != "" && (kind != "host" && kind != "admin" || name == "" || len(name) > 64 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })):
		return fmt.Errorf("revocation of %q: %w: want \"host NAME\" or \"admin NAME\"", clip(r.Subject), ErrInvalid)
	case r.Subject != "" && r.Before.IsZero():
		return fmt.Errorf("revocation of %q: %w: no time", clip(r.Subject), ErrInvalid)
	case len(r.Note) > MaxRevocationNote:
		return fmt.Errorf("revocation's note of %d bytes: %w: at most %d", len(r.Note), ErrInvalid, MaxRevocationNote)
	}
	if r.Serial != "" {
		if _, err := hex.DecodeString(strings.Repeat("0", len(r.Serial)%2) + r.Serial); err != nil || len(r.Serial) > 40 || r.Serial[0] == '0' || strings.ToLower(r.Serial) != r.Serial {
			return fmt.Errorf("revocation of serial number %q: %w: want up to 40 small hex digits without leading zeros", clip(r.Serial), ErrInvalid)
		}
	}
	return nil
}
