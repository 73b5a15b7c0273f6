package rows

import (
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/published"
	"github.com/vstack/vstack/metastore/manifest"
)

// AppendPublished appends the snapshot's form of a published video to b.
func AppendPublished(b []byte, r *Video) ([]byte, error) {
	bare := *r
	bare.Manifest = manifest.Bare(r.Manifest)
	return published.Append(b, &bare, r.Manifest)
}

// DecodePublished reads what AppendPublished wrote.
func DecodePublished(b []byte) (*Video, error) {
	r := &Video{}
	err := published.Decode(b, r, func() *vstack.Manifest { return r.Manifest })
	return r, err
}
