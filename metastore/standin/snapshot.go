package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// snapshotMeta is the file beside a snapshot's bytes, as the library writes it.
type snapshotMeta struct {
	raft.SnapshotMeta
	CRC []byte
}

// newestSnapshot is the index and the directory of the last snapshot that is whole, which is the one
// that the library begins with; 0 where there is none. ErrCorrupt says that there are some and none is.
func newestSnapshot(dir string) (index uint64, newest string, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	if err != nil {
		return 0, "", fmt.Errorf("list snapshots in %s: %w", dir, err)
	}
	var bad error
	for _, name := range names {
		var meta snapshotMeta
		b, err := os.ReadFile(name)
		if strings.HasSuffix(filepath.Dir(name), ".tmp") || err != nil || json.Unmarshal(b, &meta) != nil {
			continue // half made: the library passes it over as well
		}
		if err := whole(filepath.Join(filepath.Dir(name), "state.bin"), meta.CRC); err != nil {
			bad = err
			continue
		}
		if meta.Index > index {
			index, newest = meta.Index, filepath.Dir(name)
		}
	}
	if index == 0 && bad != nil {
		return 0, "", fmt.Errorf("%w: no snapshot can be read: %v", vstack.ErrCorrupt, bad)
	}
	return index, newest, nil
}

func whole(path string, want []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := sum.Sum(nil); !bytes.Equal(got, want) {
		return fmt.Errorf("%s: its checksum is %x, noted is %x", path, got, want)
	}
	return nil
}
