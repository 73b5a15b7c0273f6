package superblock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/vstack/vstack/datanode/superblock/finding"
	"github.com/vstack/vstack/internal/vfs"
)

// lossesName is the file that lists where records are missing and the log says so.
const lossesName = "LOST"

// maxLosses bounds that file, in bytes.
const maxLosses = 1 << 20

// Losses are the places where records are missing.
func (s *Store) Losses() []finding.Place { return s.findings.Places() }

// SettleLost notes, durably, that the log has taken in the losses of these places: the
// caller has appended what follows from them. Damage stays in its file and every Open finds
// it again; from now on that is no new loss.
func (s *Store) SettleLost(places []finding.Place) error {
	b, err := json.Marshal(places)
	if err != nil {
		return fmt.Errorf("list lost records: %w", err)
	}
	if err := vfs.WriteFile(s.cfg.FS, filepath.Join(s.cfg.Dir, lossesName), b, 0o640); err != nil {
		return fmt.Errorf("note lost records: %w", err)
	}
	return nil
}

// readLosses takes in what SettleLost noted. A list that cannot be read settles nothing:
// the store is barred once more, which is never wrong.
func (s *Store) readLosses() {
	b, err := vfs.ReadFile(s.cfg.FS, filepath.Join(s.cfg.Dir, lossesName), maxLosses)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var places []finding.Place
	if err == nil {
		err = json.Unmarshal(b, &places)
	}
	if err != nil {
		s.cfg.Logger.Warn("the list of lost records cannot be read; all count as new", "dir", s.cfg.Dir, "err", err)
		return
	}
	s.findings.Settled(places)
}
