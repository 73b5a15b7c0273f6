package raftnode

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// ReadIndex returns an index such that a catalog that has applied it contains every
// write that was acknowledged before the call. askTerm asks a member for its current
// term and must put the question after it was called.
//
// Why it is safe: a leader of a term above T was elected by a majority, each of which
// had raised its term before. If, after the read began, a majority still was at T or
// below, no such leader existed when it began, so everything acknowledged until then
// was committed by T or before it; this leader's barrier put it at or below its
// commit index.
func (n *Node) ReadIndex(ctx context.Context, askTerm func(ctx context.Context, id string) (uint64, error)) (uint64, error) {
	lead, ok := n.Leading()
	if !ok {
		return 0, fmt.Errorf("read index: %w: %s does not lead", vstack.ErrNoLeader, n.cfg.ID)
	}
	commit := n.raft.CommitIndex()
	if err := n.confirmTerm(ctx, lead.Term, askTerm); err != nil {
		return 0, err
	}
	return n.lastCommand(commit)
}

// confirmTerm wants a majority of voters, this one included, at terms of at most T.
func (n *Node) confirmTerm(ctx context.Context, term uint64, askTerm func(context.Context, string) (uint64, error)) error {
	voters := n.Voters()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		term uint64
		err  error
	}
	answers := make(chan answer, len(voters)) // nobody blocks when we return early
	asked := 0
	agree := 0
	for _, id := range voters {
		if id == n.cfg.ID {
			agree++
			continue
		}
		asked++
		n.wg.Add(1)
		go func() {
			defer n.wg.Done()
			t, err := askTerm(ctx, id)
			answers <- answer{t, err}
		}()
	}
	need := len(voters)/2 + 1
	var last error
	for ; agree < need && asked > 0; asked-- {
		a := <-answers
		switch {
		case a.err != nil:
			last = a.err
		case a.term > term:
			return fmt.Errorf("read index: %w: term %d has followed ours, %d", vstack.ErrNoLeader, a.term, term)
		default:
			agree++
		}
	}
	if agree < need {
		return fmt.Errorf("read index: %w: %d of %d members confirmed term %d (last: %v)", vstack.ErrNoLeader, agree, len(voters), term, last)
	}
	if n.raft.CurrentTerm() != term {
		return fmt.Errorf("read index: %w: term %d has ended", vstack.ErrNoLeader, term)
	}
	return nil
}

// lastCommand is the last entry up to index that the FSM sees: elections and barriers
// never reach it, so their indexes cannot be waited for. Raft's own AppliedIndex would
// not do: it runs ahead of the FSM.
func (n *Node) lastCommand(index uint64) (uint64, error) {
	for i := index; i > 0; i-- {
		var l raft.Log
		if err := n.log.GetLog(i, &l); err != nil {
			if errors.Is(err, raft.ErrLogNotFound) {
				return 0, nil // compacted into a snapshot, which the FSM made itself
			}
			return 0, fmt.Errorf("read index: read entry %d: %w", i, err)
		}
		if l.Type == raft.LogCommand {
			return i, nil
		}
	}
	return 0, nil
}
