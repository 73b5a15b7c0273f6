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

// left is a command that somebody ended, with what of it goes on and how to come back to it.
type left struct {
	error
	goes, back string
}

func (l *left) Unwrap() error { return l.error }

// Left says of a command that was interrupted what of it goes on, and the command that comes
// back to it; of any other error it says nothing.
func Left(err error, goes, back string) error {
	if err == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return &left{err, goes, back}
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

// PrintError tells a person what went wrong and what to try. Of an interrupted command the
// person knows that; it says what goes on, if anything does.
func PrintError(w io.Writer, err error) {
	var l *left
	switch {
	case err == nil:
		return
	case errors.As(err, &l):
		fmt.Fprintf(w, "vstack: interrupted: %s\n   to come back: %s\n", l.goes, l.back)
		return
	case errors.Is(err, context.Canceled):
		return
	}
	fmt.Fprintf(w, "vstack: %s\n", strings.TrimSpace(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "   try: %s\n", hint)
	}
}
