package params

import (
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Consistency are those of reads.
func Consistency() []wire.Param {
	return []wire.Param{
		{Name: "consistency", In: "query", Doc: "default (the leader's view), stale (this member's) or linearizable (confirmed by a majority)"},
		{Name: "min_index", In: "query", Doc: "wait until this Raft index is applied, to read one's own writes"},
	}
}

// Paging are those of lists.
func Paging(more ...wire.Param) []wire.Param {
	return append(append(Consistency(),
		wire.Param{Name: "cursor", In: "query", Doc: "next of the page before"},
		wire.Param{Name: "limit", In: "query", Doc: "items a page, 1 to 1,000; default 100"}), more...)
}

// RequestID is that of writes.
func RequestID() []wire.Param {
	return []wire.Param{{Name: wire.HeaderRequestID, In: "header", Doc: "makes a retry idempotent; at most 64 printable characters"}}
}

// ReadErrors are those of reads.
func ReadErrors(more ...*vstack.Sentinel) []*vstack.Sentinel {
	return append(more, vstack.ErrInvalid, vstack.ErrNoLeader, vstack.ErrUnavailable, vstack.ErrCatalogLagging)
}

// WriteErrors are those of writes.
func WriteErrors(more ...*vstack.Sentinel) []*vstack.Sentinel {
	return append(more, vstack.ErrInvalid, vstack.ErrUnauthenticated, vstack.ErrForbidden, vstack.ErrTooLarge, vstack.ErrNoLeader, vstack.ErrOutcomeUnknown, vstack.ErrUnavailable)
}
