package catalog

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// raise brings the catalog to a feature level; a lower one changes nothing, so that a
// repeat is harmless. Its error is fatal: this member could not read what comes next.
func (a *application) raise(level vstack.Level) error {
	if err := known(level); err != nil {
		return err
	}
	if level <= a.meta.Level.OrFirst() {
		return nil
	}
	a.meta.Level = level
	a.note(vstack.EventLevel, "", fmt.Sprintf("raised to %d", level))
	if level >= vstack.LevelFormats && a.meta.ClassFloor == 0 {
		a.meta.ClassFloor = a.index
	}
	a.meta.Feed = a.index // stores learn of it without waiting for another change
	a.rehash()
	return nil
}

// known reports that this program is older than a catalog.
func known(level vstack.Level) error {
	if level > vstack.NewestLevel {
		return fmt.Errorf("catalog of feature level %d: %w: this program knows up to %d; start the newer one", level, vstack.ErrLevelTooOld, vstack.NewestLevel)
	}
	return nil
}

// rehash takes the sums of all remembered answers anew: what they cover depends on the
// level. The rows may be those of older views, which keep theirs.
func (a *application) rehash() {
	answers := make([]*rows.Request, len(a.meta.Answers))
	for i, old := range a.meta.Answers {
		next := *old
		next.Seal(a.meta.Level)
		a.meta.Sum = a.meta.Sum.Minus(old.Checksum()).Plus(next.Checksum())
		answers[i] = &next
		a.requests[next.ID] = &next
	}
	a.meta.Answers = answers
}
