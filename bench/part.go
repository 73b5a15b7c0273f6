package bench

import (
	"context"
	"fmt"
	"io"

	"github.com/vstack/vstack/bench/history"
	"github.com/vstack/vstack/internal/vstack"
)

// The processes that scenarios start besides hosts, as `EXE bench part NAME`. Each reads
// what it needs from its standard input and ends with it.
const (
	partSlotClient = "slot-client"
)

// Part is such a process.
func Part(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	switch name {
	case partSlotClient:
		return history.Serve(ctx, in, out)
	}
	return fmt.Errorf("part %.40q: %w", name, vstack.ErrNotFound)
}

// partArgs are the arguments that have the program play a part.
func partArgs(name string) []string { return []string{"bench", "part", name} }
