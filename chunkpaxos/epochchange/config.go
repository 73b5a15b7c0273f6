package epochchange

import (
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Config configures one attempt to move a placement group to its next epoch. Zero
// bounds take their defaults.
type Config struct {
	PG vstack.PG
	// Epoch is the one that ends; the one that begins is the next.
	Epoch vstack.Epoch
	// Old are the acceptors of Epoch, New those of the next one; 1 to vstack.Acceptors.
	Old, New []vstack.StoreID
	// Attempt is the one that Raft issued for the next epoch, to this process alone, once: two
	// runs of one attempt may install two values under one ballot.
	Attempt uint32
	// Page is the most votes in one message. Default and maximum message.MaxPage.
	Page int
	// PageBytes bounds the chunks that the votes of one Install name, beyond the first:
	// an acceptor that lacks them fetches them before it answers. Default 64 MiB.
	PageBytes int64
	// MaxVotes bounds the votes taken from one acceptor. Default 4,194,304, which is as
	// many as an acceptor keeps.
	MaxVotes int
	// RetryMin and RetryMax bound the pause before acceptors are asked again, which
	// doubles from one to the other. Defaults 50 ms and 2 s.
	RetryMin, RetryMax time.Duration
	// MaxTries bounds the rounds of asking again, for the seals and for the installs.
	// Default 64.
	MaxTries int
}

// Validate checks the configuration and fills in the defaults.
func (c *Config) Validate() error {
	for _, acceptors := range [][]vstack.StoreID{c.Old, c.New} {
		if n := len(acceptors); n == 0 || n > vstack.Acceptors {
			return c.errorf("%w: %d acceptors, want 1 to %d", vstack.ErrInvalid, n, vstack.Acceptors)
		}
		for i, a := range acceptors {
			if a.IsZero() || slices.Contains(acceptors[:i], a) {
				return c.errorf("%w: acceptor %s comes twice or is none", vstack.ErrInvalid, a)
			}
		}
	}
	switch {
	case c.Epoch == 0:
		return c.errorf("%w: there is no epoch before it", vstack.ErrInvalid)
	case c.Attempt == 0:
		return c.errorf("%w: Raft issues attempts from 1", vstack.ErrInvalid)
	}
	if c.Page <= 0 || c.Page > message.MaxPage {
		c.Page = message.MaxPage
	}
	setDefault(&c.PageBytes, 64<<20)
	setDefault(&c.MaxVotes, 4<<20)
	setDefault(&c.RetryMin, 50*time.Millisecond)
	setDefault(&c.RetryMax, 2*time.Second)
	setDefault(&c.MaxTries, 64)
	return nil
}

func (c *Config) errorf(format string, args ...any) error {
	return fmt.Errorf("move placement group %d to epoch %d, attempt %d: %w", c.PG, c.Epoch+1, c.Attempt, fmt.Errorf(format, args...))
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
