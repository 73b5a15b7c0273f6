package bench

import (
	"context"
	"io"

	"github.com/vstack/vstack/bench/abuse"
	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/history"
	"github.com/vstack/vstack/bench/link/proof"
)

const (
	// partSlotClient is an uploader of package history; parts without a name here are baselines.
	partSlotClient = "slot-client"
	// partLink is a link of package proof.
	partLink = "link"
)

// Part runs one of the processes that scenarios start besides hosts, as `EXE bench part
// NAME`. Each reads what it needs from its standard input and ends with it.
func Part(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	switch name {
	case partSlotClient:
		return history.Serve(ctx, in, out)
	case abuse.Part:
		return abuse.Serve(ctx, in, out)
	case partLink:
		return proof.Serve(ctx, in, out)
	}
	return baseline.Serve(ctx, name, in, out)
}

// partArgs are the arguments that have the program play a part.
func partArgs(name string) []string { return []string{"bench", "part", name} }
