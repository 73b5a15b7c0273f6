package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// MaxRequests is how many request ids are remembered with their answers. It is part
// of the format: members must forget the same ones.
const MaxRequests = 16384

// answered is the row of a request that was applied before, or nil.
func (a *application) answered(requestID string) *rows.Request {
	if requestID == "" {
		return nil
	}
	return a.requests[requestID]
}

// repeat answers a request id that was seen before with its first answer.
func (a *application) repeat(first *rows.Request, cmd command.Command) *command.Result {
	if first.Type != cmd.Type {
		return &command.Result{Index: a.index, Code: vstack.ErrInvalid.Code(),
			Detail: fmt.Sprintf("request id %q was used for %s before: %v", cmd.RequestID, first.Type, vstack.ErrInvalid)}
	}
	res := first.Result
	return &res
}

// remember keeps an answer and forgets the oldest beyond MaxRequests.
func (a *application) remember(r *rows.Request) {
	if a.err != nil {
		return
	}
	r.Seal(a.meta.Level)
	a.requests[r.ID] = r
	a.meta.Answers = append(a.meta.Answers, r)
	a.meta.Sum = a.meta.Sum.Plus(r.Checksum())
	for len(a.meta.Answers) > MaxRequests {
		oldest := a.meta.Answers[0]
		a.meta.Answers = a.meta.Answers[1:]
		a.meta.Sum = a.meta.Sum.Minus(oldest.Checksum())
		delete(a.requests, oldest.ID)
	}
	a.meta.Requests = len(a.meta.Answers)
}

// restoreRequests puts the rows of a snapshot in order, and checks what remember keeps:
// one row an id and an index, and as many as the meta row says.
func (a *application) restoreRequests(want int) error {
	slices.SortStableFunc(a.meta.Answers, func(x, y *rows.Request) int { return cmp.Compare(x.Result.Index, y.Result.Index) })
	for i := 1; i < len(a.meta.Answers); i++ {
		if x, y := a.meta.Answers[i-1], a.meta.Answers[i]; x.Result.Index == y.Result.Index {
			return fmt.Errorf("requests %q and %q: %w: both are of index %d", x.ID, y.ID, vstack.ErrCorrupt, x.Result.Index)
		}
	}
	if n := len(a.requests); n != want || len(a.meta.Answers) != want {
		return fmt.Errorf("requests: %w: %d rows of %d ids, want %d", vstack.ErrCorrupt, len(a.meta.Answers), n, want)
	}
	return nil
}
