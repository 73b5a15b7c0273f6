package wire

import "github.com/vstack/vstack/internal/vstack"

// APIKeyRequest is the body of POST /v1/apikeys.
type APIKeyRequest struct {
	Name   string         `json:"name"`
	Scopes []vstack.Scope `json:"scopes"`         // read, upload, manage, admin
	Life   float64        `json:"life,omitempty"` // seconds; default for ever
	Rate   float64        `json:"rate,omitempty"` // requests a second at each process; default no bound of its own
	Bytes  int64          `json:"bytes,omitempty"`
	Films  int64          `json:"films,omitempty"`
}

// APIKeyReply is its answer, the only one that has the key.
type APIKeyReply struct {
	vstack.APIKey
	Key string `json:"key"`
}

// UseAPIKeyRequest is the body of POST /v1/apikeys/use: the key with an id is shown, and uploads
// so much. Zero films only ask who it is.
type UseAPIKeyRequest struct {
	ID    vstack.APIKeyID `json:"id"`
	Films int64           `json:"films,omitempty"`
	// Bytes are those of the films; -1: nobody said, which a key with a bound of bytes wants.
	Bytes int64 `json:"bytes,omitempty"`
}
