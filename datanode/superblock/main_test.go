package superblock

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// bareKeys keeps data keys as they are, for tests.
type bareKeys struct{}

const bareKeyFile = "key.bare"

func (bareKeys) Make(fsys vfs.FS, dir string, _ vstack.StoreID, rand io.Reader) (seal.Key, error) {
	k, err := seal.NewKey(rand)
	if err != nil {
		return k, err
	}
	return k, vfs.WriteFile(fsys, filepath.Join(dir, bareKeyFile), k.Secret[:], 0o600)
}

func (bareKeys) Open(fsys vfs.FS, dir string, _ vstack.StoreID) (seal.Key, error) {
	b, err := vfs.ReadFile(fsys, filepath.Join(dir, bareKeyFile), seal.KeyLen)
	if err != nil {
		return seal.Key{}, fmt.Errorf("%w: %w", vstack.ErrKeyMissing, err)
	}
	return seal.Key{Generation: 1, Secret: [seal.KeyLen]byte(b)}, nil
}

// appendAs is the version of the stores that open opens: the tests run once for each.
var appendAs = format.V1

func TestMain(m *testing.M) { goleak.VerifyTestMain(versions{m}) }

// versions runs all tests in the newest version of plain stores, which has what those before it
// have, and in that of encrypted ones; a soak begins with the oldest, which only stores of
// clusters have that never raised their level.
type versions struct{ m *testing.M }

func (v versions) Run() (code int) {
	passes := []format.Version{format.NewestPlain, format.V4}
	if os.Getenv("VSTACK_SOAK") != "" {
		passes = append([]format.Version{format.V1}, passes...)
	}
	for _, appendAs = range passes {
		if code == 0 {
			code = v.m.Run()
		}
	}
	return code
}
