package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vstack/vstack/internal/console"
)

// App is what all commands share: where output goes and the global flags.
type App struct {
	Out, Err io.Writer

	// The global flags.
	Format       string // of listings
	Timeout      time.Duration
	Cluster      string // directory of the client bundle or of the lab
	ProgressMode string
	NoColor      bool
	Wide         bool
}

// Printer makes the writer of results.
func (a *App) Printer() (*console.Printer, error) {
	format, err := console.ParseFormat(a.Format)
	if err != nil {
		return nil, err
	}
	return &console.Printer{Out: a.Out, Err: a.Err, Format: format, Width: console.TerminalWidth(a.Out), Wide: a.Wide}, nil
}

// Paint colours text on out when that is a terminal and nobody objects.
func (a *App) Paint(out io.Writer) console.Painter {
	return console.Painter{On: IsTerminal(out) && !a.NoColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Progress makes the progress of a command, as --progress says.
func (a *App) Progress() (*console.Progress, error) {
	mode, err := console.ParseProgress(a.ProgressMode, IsTerminal(a.Err))
	if err != nil {
		return nil, err
	}
	return console.NewProgress(mode, a.Err), nil
}

// IsTerminal reports whether a writer is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && console.IsTerminal(f)
}

// Deadline applies --timeout, or the command's own bound; 0 is none.
func (a *App) Deadline(ctx context.Context, own time.Duration) (context.Context, context.CancelFunc) {
	if a.Timeout > 0 {
		own = a.Timeout
	}
	if own == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, own)
}

// Confirm refuses a destructive command without --yes.
func Confirm(yes bool, what string) error {
	if yes {
		return nil
	}
	return console.Hint(fmt.Errorf("%w: this will %s", console.ErrUsage, what), "the same command with --yes")
}
