package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Exit codes, see the package comment.
const (
	ExitOK = iota
	ExitError
	ExitUsage
	ExitNotFound
	ExitNotAllowed
	ExitNoQuorum
	ExitDegraded
	ExitBound
	ExitAgain
)

// Outcomes of a command that are no failure of any call.
var (
	ErrDegraded = errors.New("degraded")
	ErrBound    = errors.New("asserted bound missed")
	ErrUsage    = errors.New("usage")
)

// ExitCode maps an error to the process's exit code.
func ExitCode(err error) int {
	is := func(list ...error) bool {
		for _, target := range list {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return ExitOK
	case is(ErrDegraded):
		return ExitDegraded
	case is(ErrBound):
		return ExitBound
	case is(ErrUsage, vstack.ErrInvalid, vstack.ErrFormInvalid):
		return ExitUsage
	case is(vstack.ErrNotFound):
		return ExitNotFound
	case is(vstack.ErrUnauthenticated, vstack.ErrForbidden, vstack.ErrNotOwner):
		return ExitNotAllowed
	case is(vstack.ErrNoQuorum, vstack.ErrNoLeader):
		return ExitNoQuorum
	case is(vstack.ErrUnavailable, vstack.ErrNotReady, vstack.ErrTimeout, vstack.ErrOutcomeUnknown, vstack.ErrTooManyUploads,
		vstack.ErrCatalogLagging, context.DeadlineExceeded):
		return ExitAgain
	}
	return ExitError
}

// hinted is an error with the next thing to try.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint adds the next command to try to an error; nil stays nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// hints are the next steps for errors that nobody hinted closer to their cause.
var hints = []struct {
	err  *vstack.Sentinel
	hint string
}{
	{vstack.ErrNoLeader, "vstack raft status"},
	{vstack.ErrNoQuorum, "vstack store ls"},
	{vstack.ErrNotReady, "vstack node ls"},
	{vstack.ErrUnauthenticated, "use a client bundle with tls.crt and tls.key: --cluster DIR"},
	{vstack.ErrForbidden, "use an administrator's client bundle: --cluster DIR"},
	{vstack.ErrDiskFull, "vstack store ls"},
	{vstack.ErrUnavailable, "vstack doctor"},
	{vstack.ErrTimeout, "vstack doctor, or a longer --timeout"},
	{vstack.ErrNotMedia, "vstack video upload --help"},
	{vstack.ErrTooManyUploads, "the same command again in a minute"},
}

// hintOf is the outermost hint of err, or that of its sentinel.
func hintOf(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.hint
	}
	for _, row := range hints {
		if errors.Is(err, row.err) {
			return row.hint
		}
	}
	return ""
}

// PrintError tells a person what went wrong and what to try. An interrupted command
// says nothing: the person knows.
func PrintError(w io.Writer, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	fmt.Fprintf(w, "vstack: %s\n", strings.TrimSpace(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "   try: %s\n", hint)
	}
}
