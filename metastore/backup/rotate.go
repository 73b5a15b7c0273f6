package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
)

// Names of backups of a directory: they sort by time.
const (
	namePrefix = "catalog-"
	nameSuffix = ".backup"
	nameTime   = "20060102T150405Z"
)

// Rotate saves a new backup into a directory and then removes the oldest of those that were
// saved so, until keep are left. Nothing is removed unless the new one is there and whole,
// and nothing that has another name.
func Rotate(dir string, keep int, now time.Time, to []age.Recipient, fetch func(io.Writer) error) (info Info, path string, removed []string, err error) {
	path = filepath.Join(dir, namePrefix+now.UTC().Format(nameTime)+nameSuffix)
	if info, err = SaveFile(path, to, fetch); err != nil {
		return info, path, nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return info, path, nil, fmt.Errorf("list backups: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && ours(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names[:max(0, len(names)-max(keep, 1))] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			errs = append(errs, fmt.Errorf("remove an old backup: %w", err))
			continue
		}
		removed = append(removed, name)
	}
	return info, path, removed, errors.Join(errs...)
}

func ours(name string) bool {
	at, ok := strings.CutPrefix(name, namePrefix)
	at, whole := strings.CutSuffix(at, nameSuffix)
	_, err := time.Parse(nameTime, at)
	return ok && whole && err == nil
}
