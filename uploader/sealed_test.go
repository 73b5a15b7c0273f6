package uploader

import "github.com/vstack/vstack/internal/sealed"

// testKey has the spools of tests be encrypted, as those of new hosts are. Those of package
// spool itself run with plain ones, too.
var testKey = sealed.NewKey([sealed.KeyLen]byte{9})
