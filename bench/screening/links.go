package screening

import (
	"cmp"
	"context"
	"time"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/viewing/scenario"
)

// settle bounds the time that a lab needs after bad links until all is well again.
const settle = time.Minute

// SetLinks makes a lab's links what a layout says.
func SetLinks(l *lab.Lab, n scenario.Layout) error {
	for i, h := range n.Hosts {
		if err := l.Net.SetLink(i, PlanOf(h.Up), PlanOf(h.Down)); err != nil {
			return err
		}
	}
	return l.Net.SetOwnLink(PlanOf(n.Up), PlanOf(n.Down))
}

// Calm takes the links' shapes away and waits until all hosts are well.
func Calm(ctx context.Context, l *lab.Lab) error {
	nothing := shape.Always(shape.Shape{})
	for i := range l.Hosts {
		if err := l.Net.SetLink(i, nothing, nothing); err != nil {
			return err
		}
	}
	if err := l.Net.SetOwnLink(nothing, nothing); err != nil {
		return err
	}
	rctx, stop := context.WithTimeout(ctx, settle)
	defer stop()
	return l.Ready(rctx)
}

// Lateness is the worst 95th percentile of the links in seconds, and the first error of one that
// kept bad time.
func Lateness(l *lab.Lab) (worst float64, err error) {
	look := func(up, down link.Counts, one error) {
		worst = max(worst, up.LateP95, down.LateP95)
		err = cmp.Or(err, one)
	}
	for i := range l.Hosts {
		look(l.Net.LinkReport(i))
	}
	look(l.Net.OwnLinkReport())
	return worst, err
}
