package resumable

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/intake"
)

// answer passes tusd's answers on, but for its own refusals: those get the code and the
// form that every other refusal of a V-Stack process has. It also owns the connection's
// deadlines, which are the guard's: of tusd's only "at once" counts, by which it ends a
// request that another one for the same part has overtaken.
type answer struct {
	http.ResponseWriter
	body    *intake.Guard
	refused bool
	refusal error // what to answer instead
}

// codes gives tusd's errors ours.
var codes = map[string]*vstack.Sentinel{
	"ERR_UNSUPPORTED_VERSION":  vstack.ErrTusVersion,
	"ERR_MAX_SIZE_EXCEEDED":    vstack.ErrTooLarge,
	"ERR_UPLOAD_SIZE_EXCEEDED": vstack.ErrTooLarge,
	"ERR_INVALID_CONTENT_TYPE": vstack.ErrInvalid, "ERR_INVALID_UPLOAD_LENGTH": vstack.ErrInvalid,
	"ERR_INVALID_OFFSET": vstack.ErrInvalid, "ERR_INVALID_UPLOAD_LENGTH_DEFER": vstack.ErrInvalid,
	"ERR_NOT_IMPLEMENTED":       vstack.ErrInvalid,
	"ERR_UPLOAD_NOT_FOUND":      vstack.ErrNotFound,
	"ERR_MISMATCHED_OFFSET":     vstack.ErrOffset,
	"ERR_UPLOAD_LOCKED":         vstack.ErrUnavailable,
	"ERR_LOCK_TIMEOUT":          vstack.ErrUnavailable,
	"ERR_UPLOAD_INTERRUPTED":    vstack.ErrUnavailable,
	"ERR_SERVER_SHUTDOWN":       vstack.ErrUnavailable,
	"ERR_READ_TIMEOUT":          vstack.ErrTimeout,
	"ERR_CONNECTION_RESET":      vstack.ErrTimeout,
	"ERR_UNEXPECTED_EOF":        vstack.ErrTimeout,
	"ERR_UPLOAD_STOPPED":        vstack.ErrCanceled,
	"ERR_INTERNAL_SERVER_ERROR": vstack.ErrInternal,
}

func (a *answer) WriteHeader(status int) {
	if status >= http.StatusBadRequest && strings.HasPrefix(a.Header().Get("Content-Type"), "text/plain") || status == http.StatusMethodNotAllowed {
		a.refused = true
		a.refusal = fmt.Errorf("%w: status %d", vstack.ErrInternal, status) // until the text comes; a HEAD has none
		switch status {
		case http.StatusNotFound:
			a.refusal = fmt.Errorf("part: %w", vstack.ErrNotFound)
		case http.StatusMethodNotAllowed:
			a.refusal = vstack.ErrMethod
		}
		for _, k := range []string{"Content-Length", "Content-Type", "X-Content-Type-Options"} {
			a.Header().Del(k)
		}
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if !a.refused {
		return a.ResponseWriter.Write(b)
	}
	code, text, _ := strings.Cut(strings.TrimSpace(string(b)), ": ")
	if s := codes[code]; s != nil {
		a.refusal = fmt.Errorf("%w: %s", s, text)
	}
	return len(b), nil
}

// SetReadDeadline lets only the end of a request through, and nothing after it.
func (a *answer) SetReadDeadline(t time.Time) error {
	if time.Until(t) > 0 {
		return nil
	}
	a.body.Stop()
	return nil
}

// SetWriteDeadline is nobody's: an answer here is a few lines.
func (a *answer) SetWriteDeadline(time.Time) error { return nil }
