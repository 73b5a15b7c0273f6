package wire

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// JWKS is the answer to GET /v1/keys: a JSON Web Key Set (RFC 7517) of the keys that sign
// playback tokens.
type JWKS struct {
	Keys  []JWK  `json:"keys"`
	Index uint64 `json:"index"` // Raft index of their last change
}

// JWK is a public Ed25519 key (RFC 8037).
type JWK struct {
	Type      string    `json:"kty"`
	Curve     string    `json:"crv"`
	Use       string    `json:"use"`
	Algorithm string    `json:"alg"`
	ID        string    `json:"kid"`
	X         Base64URL `json:"x"`
	// TokensFrom takes tokens their rights that were issued before, Unix seconds; absent: none.
	TokensFrom int64 `json:"tokens_from,omitzero"`
}

// TokenKeys is what the set says.
func (s JWKS) TokenKeys() vstack.TokenKeys {
	out := vstack.TokenKeys{Index: s.Index}
	for _, k := range s.Keys {
		key := vstack.TokenKey{ID: k.ID, Public: k.X}
		if k.TokensFrom > 0 {
			key.TokensFrom = time.Unix(k.TokensFrom, 0).UTC()
		}
		out.Items = append(out.Items, key)
	}
	return out
}

// Base64URL is bytes as JOSE writes them: base64url without padding.
type Base64URL []byte

// MarshalText is of encoding.TextMarshaler.
func (b Base64URL) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

// UnmarshalText is of encoding.TextUnmarshaler.
func (b *Base64URL) UnmarshalText(text []byte) (err error) {
	if *b, err = base64.RawURLEncoding.DecodeString(string(text)); err != nil {
		return fmt.Errorf("base64url: %w: %v", vstack.ErrInvalid, err)
	}
	return nil
}

// TokenKeyRequest is the body of POST /v1/keys.
type TokenKeyRequest struct {
	ID     string    `json:"id"`
	Public Base64URL `json:"public"`
	Note   string    `json:"note,omitzero"`
}

// RevokeTokensRequest is the body of POST /v1/keys/{id}/revoke.
type RevokeTokensRequest struct {
	// Issued takes the rights of tokens that were issued before, Unix seconds; 0 is now.
	Issued int64 `json:"issued,omitzero"`
}
