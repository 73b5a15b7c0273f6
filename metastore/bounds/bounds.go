package bounds

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/forward"
)

const (
	// MaxRequests is how many requests of hosts, and of others, are served at a time, those
	// that wait for a change of the feed among them.
	MaxRequests = 1024
	// MaxAnswers bounds the memory of answers to hosts, and to others, that are made and
	// sent, bytes.
	MaxAnswers = 256 << 20
	// Wait is how long a request waits for either.
	Wait = 2 * time.Second
)

// What answers take, bytes: the value and its text.
const (
	small = 64 << 10 // of one that does not grow with what is asked for
	row   = 2 << 10  // a line of a list
	chunk = 1 << 10  // of a manifest
	slot  = 2 << 10  // of the list where a video's chunks are
	page  = 4 << 20  // the largest of the feed
	// manifests is the largest page of the feed as the first release had it.
	manifests = 32 << 20
)

// Bounds is of one member.
type Bounds struct{ hosts, others budgets }

type budgets struct{ requests, answers *admission.Budget }

// New makes those of a member.
func New() *Bounds {
	of := func() budgets {
		return budgets{admission.NewBudget("requests in flight", MaxRequests), admission.NewBudget("bytes of answers", MaxAnswers)}
	}
	return &Bounds{hosts: of(), others: of()}
}

// Admit lets a request in that a route answers; done lets it out. chunks says how many the
// video has that a path names. ErrUnavailable when it is not its turn in time.
func (b *Bounds) Admit(r *http.Request, by forward.Caller, route string, limit int, chunks func() int) (done func(), err error) {
	of, key := b.whose(r, by)
	ctx, cancel := context.WithTimeout(r.Context(), Wait)
	defer cancel()
	size := sizeOf(r, route, limit, chunks)
	if err := of.requests.Acquire(ctx, key, 1); err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, route, err)
	}
	if err := of.answers.Acquire(ctx, key, size); err != nil {
		of.requests.Release(key, 1)
		return nil, fmt.Errorf("%s %s: %w", r.Method, route, err)
	}
	return func() {
		of.answers.Release(key, size)
		of.requests.Release(key, 1)
	}, nil
}

// whose are the budgets that a request counts in, and under which key. What a member forwards
// counts as its caller's. People whom a member of an earlier program speaks for are one.
func (b *Bounds) whose(r *http.Request, by forward.Caller) (budgets, admission.Key) {
	switch {
	case by.Known && by.Role == identity.RoleHost:
		return b.hosts, by.Key
	case by.Key == "":
		return b.others, admission.Key("anybody at " + r.Header.Get(wire.HeaderForwarded))
	}
	return b.others, by.Key
}

// Used is the memory of answers to others than hosts.
func (b *Bounds) Used() int64 { return b.others.answers.Used() }

// sizeOf is what an answer takes, or somewhat more. A video that is larger than all there is
// takes all.
func sizeOf(r *http.Request, route string, limit int, chunks func() int) int64 {
	size := int64(small)
	switch {
	case r.Method != http.MethodGet:
	case route == "/v1/feed" && strings.Contains(r.Header.Get("Accept"), feed.ContentType):
		size = page
	case route == "/v1/feed":
		size = manifests
	case route == "/v1/videos/{id}/manifest":
		size += chunk * int64(chunks())
	case route == "/v1/videos/{id}/placement":
		size += slot * int64(chunks())
	default:
		size = max(size, row*int64(limit))
	}
	return min(size, MaxAnswers)
}
