package resumable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	exp "golang.org/x/exp/slog"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/access"
	"github.com/vstack/vstack/uploader/intake"
)

// openedKey finds the parts that a request has opened in its context.
type openedKey struct{}

// opened are the parts of one request; they are closed when it ends.
type opened struct {
	ticket  vstack.TicketID // that the request carries
	reading chan struct{}   // closed once its body is read, or never will be
	begin   func()          // closes reading, once

	mu  sync.Mutex
	ups []*upload
}

func newOpened(ticket vstack.TicketID) *opened {
	o := &opened{ticket: ticket, reading: make(chan struct{})}
	o.begin = sync.OnceFunc(func() { close(o.reading) })
	return o
}

func (o *opened) add(u *upload) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ups = append(o.ups, u)
}

func (o *opened) last() *upload {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ups) == 0 {
		return nil
	}
	return o.ups[len(o.ups)-1]
}

func (o *opened) close() {
	o.begin()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, u := range o.ups {
		_ = u.part.Close() // synced, or given up
	}
}

// ServeHTTP answers a request below one of Paths.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := part(r.URL.Path)
	g := intake.New(w, r.Body, h.cfg.MaxSize, h.cfg.MinRate, h.cfg.Window)
	defer g.Over() // tusd has a goroutine that outlives the request
	if err := h.serve(w, r, id, g); err != nil {
		intake.Refuse(r.Context(), w, r, g, func() { writeProblem(w, r, err) })
	}
}

// serve answers by itself what is about a part that is one no more, and leaves the rest
// to tusd. An error is the answer.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, id string, g *intake.Guard) error {
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("X-HTTP-Method-Override") != "" {
		return fmt.Errorf("X-HTTP-Method-Override: %w: use the method itself", vstack.ErrMethod)
	}
	switch r.Method {
	case http.MethodPost, http.MethodPatch, http.MethodHead, http.MethodGet, http.MethodDelete, http.MethodOptions:
	default:
		return methodError(w, r, id)
	}
	if (id == "") != (r.Method == http.MethodPost) && r.Method != http.MethodOptions {
		return methodError(w, r, id)
	}
	if id != "" && r.Method != http.MethodOptions {
		if done, err := h.known(w, r, id); done || err != nil {
			return err
		}
	}
	switch r.Method {
	case http.MethodPost:
		if err := h.create(r); err != nil {
			return err
		}
	case http.MethodDelete:
		a, _, _, err := h.state(id)
		if err == nil {
			err = h.cfg.Gate.Cancel(r, a.Order.Ticket)
		}
		if err != nil {
			return err
		}
	}
	if r.Method == http.MethodPatch || r.Method == http.MethodPost && r.ContentLength != 0 {
		release, err := h.cfg.Admit(r)
		if err != nil {
			return err
		}
		defer release()
	}
	o := newOpened(access.Presented(r))
	defer o.close()
	r = r.WithContext(context.WithValue(r.Context(), openedKey{}, o))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = guarded{g, r.Body, o.begin}
	}
	for _, base := range Paths {
		if strings.HasPrefix(r.URL.Path, base) {
			a := &answer{ResponseWriter: w, body: g}
			h.served[base].ServeHTTP(a, r)
			return a.refusal
		}
	}
	return fmt.Errorf("%w: no such path", vstack.ErrNotFound)
}

func methodError(w http.ResponseWriter, r *http.Request, id string) error {
	allow := "POST, OPTIONS"
	if id != "" {
		allow = "HEAD, GET, PATCH, DELETE, OPTIONS"
	}
	w.Header().Set("Allow", allow)
	return fmt.Errorf("%.20q: %w", r.Method, vstack.ErrMethod)
}

// create judges a new upload before tusd makes a part of it.
func (h *Handler) create(r *http.Request) error {
	size, err := strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64)
	if err != nil {
		size = -1 // tusd refuses it
	}
	if err := h.cfg.Gate.Create(r, size); err != nil {
		return err
	}
	if r.Header.Get("Upload-Defer-Length") != "" {
		return fmt.Errorf("Upload-Defer-Length: %w: say the length", vstack.ErrInvalid)
	}
	o, err := orderOf(handler.ParseMetadataHeader(r.Header.Get("Upload-Metadata")))
	if err != nil {
		return err
	}
	return h.cfg.Judge(r.Context(), &o)
}

// known answers for a part that has become an upload or has ended, and has one that is
// whole accepted. Not done means that bytes are awaited: tusd answers.
func (h *Handler) known(w http.ResponseWriter, r *http.Request, id string) (done bool, err error) {
	out, ok := h.became(id)
	if !ok {
		a, size, at, err := h.state(id)
		switch {
		case err != nil:
			return true, err
		case r.Method == http.MethodGet:
			return true, writeJSON(w, wire.Incoming{Offset: size, Length: a.Size, Expires: at.Add(h.cfg.Keep)})
		case size != a.Size || r.Method == http.MethodDelete:
			return false, nil
		}
		out.size = a.Size
		if out.acc, out.err = h.settle(context.WithoutCancel(r.Context()), id); errors.Is(out.err, errMore) {
			return false, nil
		}
		h.cfg.Counted(r.RemoteAddr, out.acc, out.err)
	}
	if out.err != nil {
		return true, out.err
	}
	for k, v := range names(out.acc) {
		w.Header().Set(k, v)
	}
	w.Header().Set("Tus-Resumable", "1.0.0")
	size := strconv.FormatInt(out.size, 10) // all of it is here
	switch r.Method {
	case http.MethodGet:
		return true, writeJSON(w, wire.Incoming{Accepted: &out.acc})
	case http.MethodDelete:
		return true, fmt.Errorf("part %s: %w: it is upload %s; cancel its job", id, vstack.ErrAlreadyExists, out.acc.Upload)
	case http.MethodHead:
		w.Header().Set("Upload-Length", size)
		w.Header().Set("Upload-Offset", size)
		w.WriteHeader(http.StatusOK)
	default:
		w.Header().Set("Upload-Offset", size)
		w.WriteHeader(http.StatusNoContent)
	}
	return true, nil
}

// names is what a file became, for an answer's header.
func names(acc wire.Accepted) map[string]string {
	out := map[string]string{wire.HeaderVideo: acc.Video.String()}
	if acc.Duplicate {
		out[wire.HeaderDuplicate] = "true"
		return out
	}
	out[wire.HeaderUpload], out[wire.HeaderJob] = acc.Upload.String(), acc.Job
	return out
}

// finish is what tusd calls when the last byte is in, before it answers.
func (h *Handler) finish(e handler.HookEvent) (handler.HTTPResponse, error) {
	o, ok := e.Context.Value(openedKey{}).(*opened)
	if !ok || o.last() == nil {
		return handler.HTTPResponse{}, problem(fmt.Errorf("finish part %s: %w", e.Upload.ID, vstack.ErrInternal))
	}
	u := o.last()
	// Whether or not the client still listens, its file has arrived.
	ctx := context.WithoutCancel(e.Context)
	acc, err := h.acceptPart(ctx, u)
	h.cfg.Counted(e.HTTPRequest.RemoteAddr, acc, err)
	if err != nil {
		return handler.HTTPResponse{}, problem(err)
	}
	return handler.HTTPResponse{Header: names(acc)}, nil
}

// state is how far a part is on disk, and since when.
func (h *Handler) state(id string) (a about, size int64, at time.Time, err error) {
	b, err := h.cfg.Spool.About(id)
	if err != nil {
		return a, 0, at, err
	}
	if a, err = parseAbout(b); err != nil {
		return a, 0, at, err
	}
	size, at, err = h.cfg.Spool.Synced(id)
	return a, size, at, err
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// guarded is a body within its bounds. What ends it has the form of tusd's errors.
type guarded struct {
	*intake.Guard
	io.Closer
	begin func() // told that the body is read
}

func (g guarded) Read(p []byte) (int, error) {
	g.begin()
	n, err := g.Guard.Read(p)
	if err == io.EOF {
		g.Ended()
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	if errors.Is(err, vstack.ErrTruncated) {
		// What has come is kept and the client may go on: it did not send too little, only
		// too slowly, or was cut off.
		err = fmt.Errorf("%w: %w", vstack.ErrTimeout, err)
	}
	return n, problem(err)
}

// problem is an error with the answer that it means, in tusd's form.
func problem(err error) error {
	p := wire.Outward(err)
	body, _ := json.Marshal(p) // of strings and a number
	return handler.Error{ErrorCode: string(p.Code), Message: p.Detail, HTTPResponse: handler.HTTPResponse{
		StatusCode: p.Status, Body: string(body) + "\n", Header: handler.HTTPHeader{"Content-Type": wire.ProblemType},
	}}
}

func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Tus-Resumable", "1.0.0")
	p := wire.Outward(err)
	if r.Method == http.MethodHead {
		w.Header().Set(wire.HeaderCode, string(p.Code)) // a HEAD has no body to say it in
	}
	wire.WriteProblem(w, p)
}

// discard is a logger's handler for tusd's lines, which say nothing that the answers and
// metrics of this process do not.
type discard struct{}

func (discard) Enabled(context.Context, exp.Level) bool  { return false }
func (discard) Handle(context.Context, exp.Record) error { return nil }
func (d discard) WithAttrs([]exp.Attr) exp.Handler       { return d }
func (d discard) WithGroup(string) exp.Handler           { return d }
