package converge

import (
	"context"
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// RunCompact gives back the space of what was dropped, after each pass that may have dropped
// something, until ctx ends. It locks one file at a time, and never the loop: what is lacking
// is brought, and claims are told, while gigabytes are written anew.
func (l *Loop) RunCompact(ctx context.Context) error {
	for {
		select {
		case <-l.compacts:
		case <-ctx.Done():
			return nil
		}
		// The rule is that of a drop: the log may grow.
		if !l.cfg.Complete() {
			continue
		}
		// Compact itself decides by the bound on garbage; without any it reads nothing.
		report, err := l.cfg.Disk.Compact(ctx)
		if report.Files > 0 {
			l.metrics.compacted.Add(float64(report.Freed))
			l.cfg.Logger.Info("space was given back", "store", l.cfg.Disk.ID(), "files", report.Files, "freed", report.Freed, "moved", report.Moved)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, vstack.ErrClosed) {
			l.cfg.Logger.Warn("space cannot be given back for now", "store", l.cfg.Disk.ID(), "error", fmt.Errorf("compact: %w", err))
		}
	}
}

// compact asks RunCompact to look. It does not block.
func (l *Loop) compact() {
	select {
	case l.compacts <- struct{}{}:
	default: // it will look anyway
	}
}
