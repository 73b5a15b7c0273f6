package vstack

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Epoch counts the configurations of one placement group; 0 is "none yet".
type Epoch uint64

// Incarnation is the fencing number that Raft issues each time an upload is opened
// or resumed: larger than every one issued before, over all uploads.
type Incarnation uint64

// LSN is the position of a record in one store's log, counted from 1 and never reused.
type LSN uint64

// Ballot orders proposals for one slot: by Incarnation, then Round, then Proposer.
// Round 0 is the fast path of the upload's owner. The zero Ballot is below every real one.
type Ballot struct {
	Incarnation Incarnation
	Round       uint32
	Proposer    ProposerID
}

// Compare returns -1, 0 or +1 in ballot order.
func (b Ballot) Compare(o Ballot) int {
	return cmp.Or(
		cmp.Compare(b.Incarnation, o.Incarnation),
		cmp.Compare(b.Round, o.Round),
		bytes.Compare(b.Proposer[:], o.Proposer[:]),
	)
}

func (b Ballot) Less(o Ballot) bool { return b.Compare(o) < 0 }
func (b Ballot) IsZero() bool       { return b == Ballot{} }

// String is INCARNATION.ROUND.PROPOSER, the form that headers carry.
func (b Ballot) String() string {
	return strconv.FormatUint(uint64(b.Incarnation), 10) + "." + strconv.FormatUint(uint64(b.Round), 10) + "." + b.Proposer.String()
}

// ParseBallot reads String's form.
func ParseBallot(s string) (Ballot, error) {
	parts := strings.SplitN(s, ".", 3)
	if len(parts) != 3 {
		return Ballot{}, fmt.Errorf("ballot %q: %w: want INCARNATION.ROUND.PROPOSER", clip(s), ErrInvalid)
	}
	inc, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil {
		return Ballot{}, fmt.Errorf("ballot %q: %w: incarnation: %v", clip(s), ErrInvalid, err)
	}
	round, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil {
		return Ballot{}, fmt.Errorf("ballot %q: %w: round: %v", clip(s), ErrInvalid, err)
	}
	p, err := ParseUUID(parts[2])
	if err != nil {
		return Ballot{}, fmt.Errorf("ballot %q: proposer: %w", clip(s), err)
	}
	return Ballot{Incarnation: Incarnation(inc), Round: uint32(round), Proposer: ProposerID(p)}, nil
}

func (b Ballot) MarshalText() ([]byte, error) { return []byte(b.String()), nil }
func (b *Ballot) UnmarshalText(t []byte) (err error) {
	*b, err = ParseBallot(string(t))
	return err
}

// Value is what a slot holds once chosen.
type Value struct {
	Chunk ChunkID `json:"chunk"`
	Size  uint32  `json:"size"` // bytes
}

func (v Value) IsZero() bool { return v == Value{} }
