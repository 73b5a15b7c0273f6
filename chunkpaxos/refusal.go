package chunkpaxos

import (
	"errors"
	"fmt"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// refusalError is a Nack with the judgement whether asking again can help.
type refusalError struct {
	nack  message.Nack
	final bool
}

func (e *refusalError) Error() string { return e.nack.Err().Error() }
func (e *refusalError) Unwrap() error { return e.nack.Reason }

// refusal judges a Nack.
func (p *Proposer) refusal(n message.Nack) error {
	if n.Reason == nil {
		n.Reason = vstack.ErrInternal
	}
	e := &refusalError{nack: n, final: hopeless(n.Reason)}
	if n.Reason == vstack.ErrEpochStale {
		// An acceptor that is behind the map catches up; one that is ahead or sealed
		// needs a newer map, and that is the caller's to get.
		e.final = n.Epoch >= p.cfg.Epoch
	}
	return e
}

// hopeless reports whether a refusal for this reason stands however often one asks.
func hopeless(reason *vstack.Sentinel) bool {
	switch reason {
	case vstack.ErrUploadNotLive, vstack.ErrFenced, vstack.ErrNotAcceptor, vstack.ErrBallotReused,
		vstack.ErrHashMismatch, vstack.ErrInvalid, vstack.ErrTooLarge, vstack.ErrDiskFull,
		vstack.ErrUnauthenticated, vstack.ErrForbidden:
		return true
	}
	return false
}

// final returns why asking again cannot help, or nil.
func (p *Proposer) final() error {
	for _, a := range p.cfg.Acceptors { // in order, so that a schedule replays exactly
		err := p.refusals[a]
		if err == nil {
			continue
		}
		var r *refusalError
		if errors.As(err, &r) {
			if r.final {
				return r
			}
		} else if hopeless(vstack.SentinelOf(err)) { // refused before the acceptor saw it
			return err
		}
	}
	return nil
}

// answered reports whether some acceptor refused by an answer rather than by silence.
func (p *Proposer) answered() bool {
	for _, err := range p.refusals {
		var r *refusalError
		if errors.As(err, &r) {
			return true
		}
	}
	return false
}

// reason sums the refusals of the last phase up.
func (p *Proposer) reason() error {
	var all []error
	for _, a := range p.cfg.Acceptors {
		if err := p.refusals[a]; err != nil {
			all = append(all, err)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("no acceptor refused")
	}
	return errors.Join(all...)
}
