package bench

import (
	"context"
	"errors"

	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/bench/slotrace"
	"github.com/vstack/vstack/quicclient"
)

// runSlotRace has two uploaders race for the same slots, on a cluster of its own.
func runSlotRace(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return slotrace.Run(ctx, c, slotrace.Options{Rounds: opt.Rounds, Progress: opt.Progress})
}
