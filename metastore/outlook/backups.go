package outlook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Backups remembers when a member last sent the catalog to its end. Whether whoever took it
// kept it is beyond what a member can know.
type Backups struct {
	path string
	last atomic.Int64 // Unix milliseconds; 0 for never
}

// OpenBackups reads what dir remembers. A file that says nothing sensible counts as none.
func OpenBackups(dir string) (*Backups, error) {
	b := &Backups{path: filepath.Join(dir, "backup-taken")}
	text, err := os.ReadFile(b.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read when the catalog was last saved: %w", err)
	}
	if at, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(text))); err == nil {
		b.last.Store(at.UnixMilli())
	}
	return b, nil
}

// Taken notes a backup. The file is a note for alerts and not worth a sync.
func (b *Backups) Taken(at time.Time) error {
	b.last.Store(at.UnixMilli())
	if err := os.WriteFile(b.path+".new", []byte(at.UTC().Format(time.RFC3339Nano)+"\n"), 0o600); err != nil {
		return fmt.Errorf("note that the catalog was saved: %w", err)
	}
	if err := os.Rename(b.path+".new", b.path); err != nil {
		return fmt.Errorf("note that the catalog was saved: %w", err)
	}
	return nil
}

// Last is the time of the last backup in Unix seconds, 0 for never.
func (b *Backups) Last() float64 { return float64(b.last.Load()) / 1000 }
