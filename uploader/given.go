package uploader

import (
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/quicclient"
)

// What a host gives its uploader.
var (
	_ Identity  = (*identity.Identity)(nil)
	_ Catalog   = (*metaclient.Client)(nil)
	_ Committer = (*quicclient.Client)(nil)
)
