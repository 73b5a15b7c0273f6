package vstack

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"
)

// Visibility says who may watch a video.
type Visibility string

const (
	// VisibilityPublic is in listings, and read by anybody.
	VisibilityPublic Visibility = "public"
	// VisibilityUnlisted is in no listing, and read by who knows its id.
	VisibilityUnlisted Visibility = "unlisted"
	// VisibilityPrivate is read with a playback token for it; to others there is no such video.
	VisibilityPrivate Visibility = "private"
)

// ParseVisibility reads one.
func ParseVisibility(s string) (Visibility, error) {
	switch v := Visibility(s); v {
	case VisibilityPublic, VisibilityUnlisted, VisibilityPrivate:
		return v, nil
	}
	return "", fmt.Errorf("visibility %q: %w: want public, unlisted or private", clip(s), ErrInvalid)
}

// Same reports whether both let the same people watch: a visibility that nobody set is public.
func (v Visibility) Same(as Visibility) bool {
	return cmp.Or(v, VisibilityPublic) == cmp.Or(as, VisibilityPublic)
}

// Access is who may watch a video. Zero, as of every video before LevelAccess, is public.
type Access struct {
	Visibility Visibility `json:"visibility,omitzero"`
	// TokensFrom takes playback tokens that were issued before their right to this video.
	TokensFrom time.Time `json:"tokens_from,omitzero"`
	Index      uint64    `json:"index,omitzero"` // Raft index of the last change
}

// Private reports whether a token is wanted.
func (a Access) Private() bool { return a.Visibility == VisibilityPrivate }

// Listed reports whether listings show it to everybody.
func (a Access) Listed() bool { return a.Visibility == "" || a.Visibility == VisibilityPublic }

// Bounds of the keys of playback tokens. How many there are is part of the catalog's format.
const (
	MaxTokenKeys    = 64
	MaxTokenKeyID   = 64  // bytes
	MaxTokenKeyNote = 200 // bytes
)

// TokenKey is the public half of a key that signs playback tokens. The other half is with
// whoever signs, and never here.
type TokenKey struct {
	ID     string `json:"id"`
	Public []byte `json:"public"` // Ed25519
	// TokensFrom takes all tokens of this key that were issued before their rights.
	TokensFrom time.Time `json:"tokens_from,omitzero"`
	Created    time.Time `json:"created"`
	Note       string    `json:"note,omitzero"`
}

// TokenKeys are all of them, as of the Raft index of their last change.
type TokenKeys struct {
	Index uint64     `json:"index"`
	Items []TokenKey `json:"items"`
}

// ByID finds a key.
func (k TokenKeys) ByID(id string) (TokenKey, bool) {
	for _, key := range k.Items {
		if key.ID == id {
			return key, true
		}
	}
	return TokenKey{}, false
}

// CheckTokenKeyID wants a name that needs no quoting anywhere.
func CheckTokenKeyID(id string) error {
	if id == "" || len(id) > MaxTokenKeyID || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return fmt.Errorf("key id %q: %w: want 1 to %d letters, digits, - or _", clip(id), ErrInvalid, MaxTokenKeyID)
	}
	return nil
}

// Check reports what no key may say.
func (k TokenKey) Check() error {
	if err := CheckTokenKeyID(k.ID); err != nil {
		return err
	}
	switch {
	case len(k.Public) != ed25519.PublicKeySize:
		return fmt.Errorf("key %s: %w: %d bytes, a public Ed25519 key has %d", k.ID, ErrInvalid, len(k.Public), ed25519.PublicKeySize)
	case len(k.Note) > MaxTokenKeyNote:
		return fmt.Errorf("note of key %s of %d bytes: %w: at most %d", k.ID, len(k.Note), ErrInvalid, MaxTokenKeyNote)
	}
	return nil
}
