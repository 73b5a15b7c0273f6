package browser

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// resetCode is application error 0 as WebTransport maps it into those of HTTP/3.
	resetCode = 0x52e4a40fa8db
	// tailHeader is where a Reader leaves what is known at the end of an answer.
	tailHeader = http.TrailerPrefix + wire.HeaderServerTiming
)

// http is the request as serve.Reader takes it.
func (r Request) http(ctx context.Context, conn *quic.Conn, token string) *http.Request {
	path := wire.PathChunks + r.Chunk.String()
	if !r.Piece.IsChunk() {
		path += "/fragments/" + r.Piece.String()
	}
	state := conn.ConnectionState().TLS
	req := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: path}, Host: conn.LocalAddr().String(), Body: http.NoBody,
		Proto: "HTTP/3.0", ProtoMajor: 3, RemoteAddr: conn.RemoteAddr().String(), TLS: &state,
		Header: http.Header{"Te": {"trailers"}}, // the signals of the Tail
	}
	if r.Offset > 0 || r.Length > 0 {
		last := ""
		if r.Length > 0 {
			last = strconv.FormatUint(uint64(r.Offset)+uint64(r.Length)-1, 10)
		}
		req.Header["Range"] = []string{"bytes=" + strconv.FormatUint(uint64(r.Offset), 10) + "-" + last}
	}
	if token != "" {
		req.Header[watch.Header] = []string{token}
	}
	if r.Leaves {
		req.Header[wire.HeaderLeaves] = []string{"?"}
	}
	if r.Fresh {
		req.URL.RawQuery = "leaves=fresh"
	}
	if r.Held {
		req.Header[wire.HeaderFragments] = []string{wire.FragmentsAsked}
	}
	return req.WithContext(ctx)
}

// stream is what an answer is written to; *quic.Stream is one.
type stream interface {
	Write(b []byte) (int, error)
	SetWriteDeadline(t time.Time) error
	Close() error
	CancelWrite(code quic.StreamErrorCode)
}

// answer is the http.ResponseWriter that writes a Head, a leaf table, a body and a Tail.
type answer struct {
	to     stream
	header http.Header
	status int
	left   int64 // bytes of the body that are to come
	err    error
}

func newAnswer(to stream) *answer { return &answer{to: to, header: http.Header{}} }

func (a *answer) Header() http.Header { return a.header }

// SetWriteDeadline is what an http.ResponseController looks for.
func (a *answer) SetWriteDeadline(t time.Time) error { return a.to.SetWriteDeadline(t) }

var errLength = errors.New("an answer that does not say its length, or another one")

// WriteHeader sends the Head and the leaf table.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	length, err := strconv.ParseUint(a.header.Get("Content-Length"), 10, 32)
	if err != nil {
		a.err = errLength
		return
	}
	h := Head{Status: uint16(status), Body: uint32(length)}
	a.left = int64(length)
	var leaves vstack.LeafTable
	if status < http.StatusBadRequest {
		h.Size = a.size(uint32(length))
		if said := a.header.Get(wire.HeaderLeaves); said != "" {
			// The store's own words. Without the table the reader goes by the whole chunk.
			if leaves, err = base64.StdEncoding.DecodeString(said); err == nil {
				h.Leaves = uint32(len(leaves))
			}
		}
	} else if after, err := strconv.ParseUint(a.header.Get("Retry-After"), 10, 16); err == nil {
		h.RetryAfter = time.Duration(after) * time.Second
	}
	h.Signals, _ = wire.ParseServerTiming(a.header.Get(wire.HeaderServerTiming)) // zero says that nothing is known
	_, a.err = a.to.Write(append(h.Append(make([]byte, 0, HeadSize+len(leaves))), leaves...))
}

// size is that of the whole, of which the body may be a part.
func (a *answer) size(body uint32) uint32 {
	_, whole, ok := strings.Cut(a.header.Get("Content-Range"), "/")
	if n, err := strconv.ParseUint(whole, 10, 32); ok && err == nil {
		return uint32(n)
	}
	return body
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.err == nil && int64(len(b)) > a.left {
		a.err = errLength
	}
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.to.Write(b)
	a.left -= int64(n)
	a.err = err
	return n, err
}

// finish ends a whole answer with its Tail, and resets any other.
func (a *answer) finish() {
	if a.err == nil && a.status != 0 && a.left == 0 {
		var t wire.ServerTiming
		if said := a.header[tailHeader]; len(said) == 1 {
			t, _ = wire.ParseServerTiming(said[0]) // as above
		}
		if _, a.err = a.to.Write(AppendTail(make([]byte, 0, TailSize), t)); a.err == nil {
			if a.err = a.to.Close(); a.err == nil {
				return
			}
		}
	}
	a.to.CancelWrite(resetCode)
}
