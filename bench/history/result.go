package history

// Result is what came out.
type Result struct {
	Histories  int
	Operations int
	Proposals  int
	Conflicts  int // proposals that were told of another value
	Unknown    int // proposals whose outcome their client never knew
	Reads      int
	Empty      int // of them, that found the slot empty
	Violating  int // histories with a slot that no order explains
	Undecided  int // histories with a slot that the checker did not finish with
	Chosen     int // chunks that some client was told of
	Lost       int // of them, that fewer than two acceptors gave back
	Wrong      int // answers with other bytes
	Faults     map[string]int
	Stories    []string // of what went wrong, and what else is worth telling
}

// add counts one operation.
func (res *Result) add(op Op) {
	res.Operations++
	switch {
	case op.Kind == Read:
		res.Reads++
		if op.Got.IsZero() {
			res.Empty++
		}
		return
	case !op.Known:
		res.Unknown++
	case op.Got != op.Value:
		res.Conflicts++
	}
	res.Proposals++
}

// Merge adds the figures of another run.
func (res *Result) Merge(more *Result) {
	for sum, n := range map[*int]int{
		&res.Histories: more.Histories, &res.Operations: more.Operations, &res.Proposals: more.Proposals, &res.Conflicts: more.Conflicts,
		&res.Unknown: more.Unknown, &res.Reads: more.Reads, &res.Empty: more.Empty, &res.Violating: more.Violating,
		&res.Undecided: more.Undecided, &res.Chosen: more.Chosen, &res.Lost: more.Lost, &res.Wrong: more.Wrong,
	} {
		*sum += n
	}
	for kind, n := range more.Faults {
		res.Faults[kind] += n
	}
	res.Stories = append(res.Stories, more.Stories...)
}
