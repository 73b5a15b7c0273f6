package converge

import (
	"context"

	"golang.org/x/time/rate"

	"github.com/vstack/vstack/internal/vstack"
)

// Budget bounds the bytes a second of background work; the stores of a process share
// one, as they share its network.
type Budget struct {
	limiter *rate.Limiter
}

// NewBudget allows bytesPerSecond, in bursts of at least one largest chunk.
func NewBudget(bytesPerSecond int64) *Budget {
	burst := max(bytesPerSecond/4, vstack.MaxChunkSize)
	return &Budget{limiter: rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst))}
}

// spend waits until n bytes, at most one largest chunk, may be moved.
func (b *Budget) spend(ctx context.Context, n uint32) error {
	return b.limiter.WaitN(ctx, int(min(n, vstack.MaxChunkSize)))
}
