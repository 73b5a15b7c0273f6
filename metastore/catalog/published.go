package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/manifest"
)

// A published video is the larger part of a snapshot, and its chunk references are the
// larger part of it: they go in binary behind its JSON.
//
//	0  4  length n of the JSON, little-endian
//	4  n  JSON of the row, its tracks without chunks
//	   …  manifest.AppendChunks

// appendPublished appends the row to b, whose memory a snapshot uses for one after the
// other: a large catalog would make a collection of garbage of every one that it writes.
func appendPublished(b []byte, r *videoRow) ([]byte, error) {
	bare := *r
	bare.Manifest = manifest.Bare(r.Manifest)
	head, err := json.Marshal(&bare)
	if err != nil {
		return b, err
	}
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(head))), head...)
	return manifest.AppendChunks(b, r.Manifest)
}

func decodePublished(b []byte) (*videoRow, error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, fmt.Errorf("%w: a published video of %d bytes", vstack.ErrCorrupt, len(b))
	}
	head, chunks := b[4:4+binary.LittleEndian.Uint32(b)], b[4+binary.LittleEndian.Uint32(b):]
	r := &videoRow{}
	if err := command.Strict(head, r); err != nil {
		return nil, err
	}
	if r.Manifest == nil {
		return nil, fmt.Errorf("%w: published video %s without a manifest", vstack.ErrCorrupt, r.Video.ID)
	}
	if err := manifest.ReadChunks(chunks, r.Manifest); err != nil {
		return nil, err
	}
	return r, nil
}
