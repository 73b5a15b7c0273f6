package wire

import (
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// RevokeRequest revokes certificates: of a subject, "host h3" or "admin ann", those issued
// until Issued (default now), or one by its serial number in hex.
type RevokeRequest struct {
	Subject string    `json:"subject,omitzero"`
	Serial  string    `json:"serial,omitzero"`
	Issued  time.Time `json:"issued,omitzero"`
	Note    string    `json:"note,omitzero"`
}

// Revocations is the list at a log index: who has heard of a later one does not go back.
type Revocations struct {
	Items []vstack.Revocation `json:"items"`
	Index uint64              `json:"index"`
}
