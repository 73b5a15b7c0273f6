package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/console"
)

// FindBundle returns the directory of a client bundle: dir, or where a lab at dir has its
// own.
func FindBundle(dir string) (string, error) {
	for _, d := range []string{dir, filepath.Join(dir, "client")} {
		if _, err := os.Stat(filepath.Join(d, config.File)); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return d, nil // what is wrong with it tells who reads it
		}
	}
	return "", console.Hint(fmt.Errorf("find cluster: no client bundle in %s: %w", dir, fs.ErrNotExist),
		"--cluster DIR or VSTACK_CLUSTER=DIR with the client directory of a lab, or `vstack demo` to start one")
}
