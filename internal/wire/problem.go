package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/vstack/vstack/internal/vstack"
)

// ProblemType is the media type of every error body (RFC 9457).
const ProblemType = "application/problem+json"

// maxProblem bounds what a client reads of an error body.
const maxProblem = 16 << 10

// Problem is an error body.
type Problem struct {
	Type   string      `json:"type"` // "urn:vstack:error:CODE"
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Code   vstack.Code `json:"code"`
	Detail string      `json:"detail,omitempty"`
	// Hint is the next thing to try, where there is one.
	Hint string `json:"hint,omitempty"`
}

// statuses is the only error↔status table. TestEveryErrorHasAStatus holds it to
// vstack.AllErrors.
var statuses = map[*vstack.Sentinel]int{
	vstack.ErrInvalid:         http.StatusBadRequest,
	vstack.ErrNotFound:        http.StatusNotFound,
	vstack.ErrAlreadyExists:   http.StatusConflict,
	vstack.ErrUnauthenticated: http.StatusUnauthorized,
	vstack.ErrForbidden:       http.StatusForbidden,
	vstack.ErrRevoked:         http.StatusForbidden,
	vstack.ErrRateLimited:     http.StatusTooManyRequests,
	vstack.ErrQuota:           http.StatusForbidden,
	vstack.ErrTooLarge:        http.StatusRequestEntityTooLarge,
	vstack.ErrMethod:          http.StatusMethodNotAllowed,
	vstack.ErrTimeout:         http.StatusGatewayTimeout,
	vstack.ErrUnavailable:     http.StatusServiceUnavailable,
	vstack.ErrInternal:        http.StatusInternalServerError,

	vstack.ErrNoLeader:        http.StatusServiceUnavailable,
	vstack.ErrOutcomeUnknown:  http.StatusServiceUnavailable,
	vstack.ErrNotReady:        http.StatusServiceUnavailable,
	vstack.ErrQuorumAtRisk:    http.StatusConflict,
	vstack.ErrClassStale:      http.StatusConflict,
	vstack.ErrNoTaker:         http.StatusConflict,
	vstack.ErrStoreInUse:      http.StatusConflict,
	vstack.ErrViewStale:       http.StatusServiceUnavailable,
	vstack.ErrManifestsLost:   http.StatusInternalServerError,
	vstack.ErrTooFewTargets:   http.StatusConflict,
	vstack.ErrBackupInvalid:   http.StatusUnprocessableEntity,
	vstack.ErrUploadNotLive:   http.StatusConflict,
	vstack.ErrForeignCatalog:  http.StatusConflict,
	vstack.ErrLevelTooOld:     http.StatusConflict,
	vstack.ErrManifestInvalid: http.StatusUnprocessableEntity,

	vstack.ErrBallotStale:    http.StatusConflict,
	vstack.ErrBallotReused:   http.StatusConflict,
	vstack.ErrSlotConflict:   http.StatusConflict,
	vstack.ErrEpochStale:     http.StatusConflict,
	vstack.ErrNotAcceptor:    http.StatusMisdirectedRequest,
	vstack.ErrNotOwner:       http.StatusForbidden,
	vstack.ErrAmnesic:        http.StatusServiceUnavailable,
	vstack.ErrNoQuorum:       http.StatusServiceUnavailable,
	vstack.ErrHashMismatch:   http.StatusUnprocessableEntity,
	vstack.ErrFenced:         http.StatusConflict,
	vstack.ErrBytesMissing:   http.StatusConflict,
	vstack.ErrCatalogLagging: http.StatusServiceUnavailable,

	vstack.ErrCorrupt:      http.StatusInternalServerError,
	vstack.ErrDiskFull:     http.StatusInsufficientStorage,
	vstack.ErrKeyMissing:   http.StatusServiceUnavailable,
	vstack.ErrClosed:       http.StatusServiceUnavailable,
	vstack.ErrRangeInvalid: http.StatusRequestedRangeNotSatisfiable,

	vstack.ErrNotMedia:       http.StatusUnsupportedMediaType,
	vstack.ErrNoStreams:      http.StatusUnprocessableEntity,
	vstack.ErrMediaUnfit:     http.StatusUnprocessableEntity,
	vstack.ErrTruncated:      http.StatusBadRequest,
	vstack.ErrFormInvalid:    http.StatusBadRequest,
	vstack.ErrTranscode:      http.StatusUnprocessableEntity,
	vstack.ErrCanceled:       http.StatusConflict,
	vstack.ErrTooManyUploads: http.StatusServiceUnavailable,
	vstack.ErrOffset:         http.StatusConflict,
	vstack.ErrTusVersion:     http.StatusPreconditionFailed,
}

// ProblemOf describes err; an error without a sentinel is INTERNAL.
func ProblemOf(err error) Problem {
	s := vstack.SentinelOf(err)
	return Problem{
		Type:   "urn:vstack:error:" + string(s.Code()),
		Title:  s.Error(),
		Status: statuses[s],
		Code:   s.Code(),
		Detail: err.Error(),
	}
}

// WriteError answers a request with err as problem+json.
func WriteError(w http.ResponseWriter, err error) { WriteProblem(w, ProblemOf(err)) }

// Refuse is WriteError with the code in the header too: the answer to a HEAD has no body, and
// who passes an answer on sees by it whom it is about.
func Refuse(w http.ResponseWriter, err error) {
	p := ProblemOf(err)
	w.Header().Set(HeaderCode, string(p.Code))
	WriteProblem(w, p)
}

// WriteProblem answers a request with p.
func WriteProblem(w http.ResponseWriter, p Problem) {
	if (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests) && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	body, _ := json.Marshal(p) // of strings and a number
	w.Header().Set("Content-Type", ProblemType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the peer may be gone; there is nobody else to tell
}

// RemoteError is an error that another process answered. It unwraps to the sentinel
// of its code, so errors.Is works across the wire.
type RemoteError struct {
	Problem
	URL string
}

func (e *RemoteError) Error() string {
	if e.Detail != "" {
		return fmt.Sprintf("%s: %d %s: %s", e.URL, e.Status, e.Code, e.Detail)
	}
	return fmt.Sprintf("%s: %d %s", e.URL, e.Status, e.Code)
}

func (e *RemoteError) Unwrap() error {
	if s := vstack.SentinelFor(e.Code); s != nil {
		return s
	}
	return vstack.ErrInternal
}

// ReadError turns a response with a status of 400 or above into a *RemoteError and
// drains a bounded part of its body. The caller still closes the body.
func ReadError(resp *http.Response) error {
	url := ""
	if resp.Request != nil && resp.Request.URL != nil {
		url = resp.Request.URL.Redacted()
	}
	e := &RemoteError{URL: url, Problem: Problem{Status: resp.StatusCode, Code: codeForStatus(resp.StatusCode)}}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		e.Detail = "read error body: " + err.Error()
		return e
	}
	var p Problem
	if json.Unmarshal(body, &p) == nil && p.Code != "" {
		p.Status = resp.StatusCode
		e.Problem = p
	} else {
		e.Detail = string(body)
	}
	return e
}

// codeForStatus guesses a code for an answer that no V-Stack process wrote.
func codeForStatus(status int) vstack.Code {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return vstack.ErrNotFound.Code()
	case http.StatusRequestEntityTooLarge:
		return vstack.ErrTooLarge.Code()
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return vstack.ErrUnavailable.Code()
	case http.StatusGatewayTimeout:
		return vstack.ErrTimeout.Code()
	}
	if status < http.StatusInternalServerError {
		return vstack.ErrInvalid.Code()
	}
	return vstack.ErrInternal.Code()
}

// IsStatus reports whether err is a RemoteError with that status.
func IsStatus(err error, status int) bool {
	var e *RemoteError
	return errors.As(err, &e) && e.Status == status
}
