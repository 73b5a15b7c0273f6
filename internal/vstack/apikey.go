package vstack

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of API keys. How many there are is part of the catalog's format: members must come to
// the same ones.
const (
	MaxAPIKeys    = 256
	MaxAPIKeyLife = 10 * 366 * 24 * time.Hour
	MaxAPIKeyRate = 100_000 // requests a second
)

// apiKeyPrefix begins every API key, so that one is known where it does not belong.
const apiKeyPrefix = "vsk_"

// Scope is what an API key is for.
type Scope string

const (
	// ScopeRead reads what an operator reads of films, private ones too.
	ScopeRead Scope = "read"
	// ScopeUpload uploads films, and gives up what it uploads.
	ScopeUpload Scope = "upload"
	// ScopeManage changes films, and deletes them.
	ScopeManage Scope = "manage"
	// ScopeAdmin does what an administrator's certificate does, but at stores.
	ScopeAdmin Scope = "admin"
)

// scopeRoles are the roles that a scope acts with: never one of a host.
var scopeRoles = map[Scope]Roles{ScopeRead: RoleRead, ScopeUpload: RoleUpload, ScopeManage: RoleManage, ScopeAdmin: RoleAdmin}

// APIKeyID names an API key without giving it away: the SHA-256 of it.
type APIKeyID [sha256.Size]byte

// APIKey is the right of a program, of whichever has the key.
type APIKey struct {
	Name   string   `json:"name"`
	ID     APIKeyID `json:"id"`
	Scopes []Scope  `json:"scopes"`
	// Created and Expires are by the clock of the member that made it; zero Expires never comes.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	// Rate bounds its requests a second at each process; 0: no bound of its own.
	Rate float64 `json:"rate,omitzero"`
	// Bytes and Films bound what it uploads, all in all; 0: no bound.
	Bytes int64 `json:"bytes,omitzero"`
	Films int64 `json:"films,omitzero"`
	// UsedBytes and UsedFilms are what it has begun to upload.
	UsedBytes int64 `json:"used_bytes,omitzero"`
	UsedFilms int64 `json:"used_films,omitzero"`
}

// NewAPIKey draws a key of 256 random bits.
func NewAPIKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return apiKeyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// APIKeyOf names the key that a request's Authorization carries; false if it carries none.
func APIKeyOf(authorization string) (APIKeyID, bool) {
	kind, key, _ := strings.Cut(authorization, " ")
	if key = strings.TrimSpace(key); !strings.EqualFold(kind, "Bearer") || !strings.HasPrefix(key, apiKeyPrefix) {
		return APIKeyID{}, false
	}
	return sha256.Sum256([]byte(key)), true
}

// ParseAPIKeyID reads 64 hex digits.
func ParseAPIKeyID(s string) (id APIKeyID, err error) {
	if b, herr := hex.DecodeString(s); herr == nil && len(b) == len(id) {
		return APIKeyID(b), nil
	}
	return id, fmt.Errorf("API key %q: %w: want 64 hex digits", clip(s), ErrInvalid)
}

func (k APIKeyID) String() string               { return hex.EncodeToString(k[:]) }
func (k APIKeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
func (k *APIKeyID) UnmarshalText(b []byte) (err error) {
	*k, err = ParseAPIKeyID(string(b))
	return err
}

// Roles are those that the key acts with.
func (k APIKey) Roles() (roles Roles) {
	for _, s := range k.Scopes {
		roles |= scopeRoles[s]
	}
	return roles
}

// Good reports whether the key has not expired.
func (k APIKey) Good(now time.Time) bool { return k.Expires.IsZero() || k.Expires.After(now) }

// Check reports what no key may say.
func (k APIKey) Check() error {
	if k.Name == "" || len(k.Name) > MaxTokenKeyID || strings.Trim(k.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
		return fmt.Errorf("API key %q: %w: want a name of 1 to %d letters, digits, dots, - or _", clip(k.Name), ErrInvalid, MaxTokenKeyID)
	}
	if len(k.Scopes) == 0 {
		return fmt.Errorf("API key %s: %w: no scopes; there are read, upload, manage and admin", k.Name, ErrInvalid)
	}
	for i, s := range k.Scopes {
		if scopeRoles[s] == 0 || slices.Contains(k.Scopes[:i], s) {
			return fmt.Errorf("API key %s: scope %q: %w: want read, upload, manage or admin, each once", k.Name, clip(string(s)), ErrInvalid)
		}
	}
	switch life := k.Expires.Sub(k.Created); {
	case k.ID == APIKeyID{}:
		return fmt.Errorf("API key %s: %w: no id", k.Name, ErrInvalid)
	case !k.Expires.IsZero() && (life <= 0 || life > MaxAPIKeyLife):
		return fmt.Errorf("API key %s for %s: %w: want at most %s", k.Name, life, ErrInvalid, MaxAPIKeyLife)
	case !(k.Rate >= 0 && k.Rate <= MaxAPIKeyRate):
		return fmt.Errorf("API key %s: rate %g: %w: want at most %d a second", k.Name, k.Rate, ErrInvalid, MaxAPIKeyRate)
	case k.Bytes < 0 || k.Films < 0 || k.UsedBytes < 0 || k.UsedFilms < 0:
		return fmt.Errorf("API key %s: %w: less than nothing", k.Name, ErrInvalid)
	}
	return nil
}
