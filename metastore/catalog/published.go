package catalog

import (
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/published"
	"github.com/vstack/vstack/metastore/manifest"
)

func appendPublished(b []byte, r *videoRow) ([]byte, error) {
	bare := *r
	bare.Manifest = manifest.Bare(r.Manifest)
	return published.Append(b, &bare, r.Manifest)
}

func decodePublished(b []byte) (*videoRow, error) {
	r := &videoRow{}
	err := published.Decode(b, r, func() *vstack.Manifest { return r.Manifest })
	return r, err
}
