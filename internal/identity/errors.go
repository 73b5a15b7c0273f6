package identity

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// What can be wrong with the files of an identity. Each is a vstack.ErrInvalid.
var (
	ErrExpired     = fmt.Errorf("%w: certificate is outside its validity", vstack.ErrInvalid)
	ErrWrongCA     = fmt.Errorf("%w: certificate was not signed by this cluster's CA", vstack.ErrInvalid)
	ErrKeyMismatch = fmt.Errorf("%w: private key does not belong to the certificate", vstack.ErrInvalid)
	ErrKeyExposed  = fmt.Errorf("%w: private key is readable by others", vstack.ErrInvalid)
)
