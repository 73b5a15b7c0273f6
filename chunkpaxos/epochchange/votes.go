package epochchange

import (
	"errors"
	"fmt"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// check judges a page of a seal: slots of the group, in order, with votes of its epochs.
func (c *Config) check(before []message.Vote, m message.Sealed) error {
	if m.More && len(m.Votes) == 0 {
		return errors.New("more after an empty page")
	}
	if len(before)+len(m.Votes) > c.MaxVotes {
		return fmt.Errorf("more than %d votes", c.MaxVotes)
	}
	for k, v := range m.Votes {
		if k > 0 {
			before = m.Votes[:k]
		}
		switch {
		case len(before) > 0 && message.CompareSlots(before[len(before)-1].Slot, v.Slot) >= 0:
			return fmt.Errorf("slot %s is out of order", v.Slot)
		case v.Slot.PG() != c.PG || v.Epoch == 0 || v.Epoch > c.Epoch || v.Ballot.IsZero():
			return fmt.Errorf("slot %s with a vote of epoch %d at %s", v.Slot, v.Epoch, v.Ballot)
		case v.Value.Chunk.IsZero() || v.Value.Size == 0 || v.Value.Size > vstack.MaxChunkSize:
			return fmt.Errorf("slot %s with %d bytes", v.Slot, v.Value.Size)
		}
	}
	return nil
}

// merge keeps of two lists, both by slot, the vote with the highest (epoch, ballot).
func merge(a, b []message.Vote) []message.Vote {
	all := make([]message.Vote, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch order := message.CompareSlots(a[0].Slot, b[0].Slot); {
		case order < 0:
			all, a = append(all, a[0]), a[1:]
		case order > 0:
			all, b = append(all, b[0]), b[1:]
		default:
			high := a[0]
			if high.Epoch < b[0].Epoch || high.Epoch == b[0].Epoch && high.Ballot.Less(b[0].Ballot) {
				high = b[0]
			}
			all, a, b = append(all, high), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// paginate cuts votes into pages, at least one, and returns where they end.
func (c *Config) paginate(votes []message.Vote) (pages []int) {
	begin, size := 0, int64(0)
	for i, v := range votes {
		if i > begin && (i-begin >= c.Page || size+int64(v.Value.Size) > c.PageBytes) {
			pages = append(pages, i)
			begin, size = i, 0
		}
		size += int64(v.Value.Size)
	}
	return append(pages, len(votes))
}
