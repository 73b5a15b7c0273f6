package finding

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/vstack/vstack/internal/vfs"
)

// settledFile lists, in a store's directory, where records are missing and the log says so.
const settledFile = "LOST"

// maxSettled bounds that file, in bytes.
const maxSettled = 1 << 20

// Settle notes the places durably.
func Settle(fsys vfs.FS, dir string, places []Place) error {
	b, err := json.Marshal(places)
	if err != nil {
		return fmt.Errorf("list lost records: %w", err)
	}
	if err := vfs.WriteFile(fsys, filepath.Join(dir, settledFile), b, 0o640); err != nil {
		return fmt.Errorf("note lost records: %w", err)
	}
	return nil
}

// ReadSettled takes in what Settle noted. A list that cannot be read settles nothing, and its
// error is to be told: the store is barred once more, which is never wrong.
func (l *List) ReadSettled(fsys vfs.FS, dir string) error {
	b, err := vfs.ReadFile(fsys, filepath.Join(dir, settledFile), maxSettled)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var places []Place
	if err == nil {
		err = json.Unmarshal(b, &places)
	}
	if err == nil {
		l.settle(places)
	}
	return err
}
