package published

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/manifest"
)

// Append appends a row, whose manifest is bare, and the chunks of the manifest to b, whose
// memory a snapshot uses for one after the other: a large catalog would make a collection of
// garbage of every one that it writes.
func Append(b []byte, row any, m *vstack.Manifest) ([]byte, error) {
	head, err := json.Marshal(row)
	if err != nil {
		return b, err
	}
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(head))), head...)
	return manifest.AppendChunks(b, m)
}

// Decode reads into row, and into the manifest that it then has.
func Decode(b []byte, row any, of func() *vstack.Manifest) error {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return fmt.Errorf("%w: a published video of %d bytes", vstack.ErrCorrupt, len(b))
	}
	head, chunks := b[4:4+binary.LittleEndian.Uint32(b)], b[4+binary.LittleEndian.Uint32(b):]
	if err := command.Strict(head, row); err != nil {
		return err
	}
	m := of()
	if m == nil {
		return fmt.Errorf("%w: a published video without a manifest", vstack.ErrCorrupt)
	}
	return manifest.ReadChunks(chunks, m)
}
