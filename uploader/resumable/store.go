package resumable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/spool"
)

// copyBuffer is how many bytes of a body are held at once.
const copyBuffer = 256 << 10

// store is the spool as tusd sees it. tusd's locks make sure that one request at a time
// is at work on a part.
type store struct{ h *Handler }

// upload is one part in one request.
type upload struct {
	s     *store
	part  *spool.Part
	about about
}

// NewUpload makes a part. The order was judged before.
func (s *store) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	o, err := orderOf(info.MetaData)
	if err != nil {
		return nil, problem(err)
	}
	if err := s.room(info.Size); err != nil {
		return nil, problem(err)
	}
	if by, ok := ctx.Value(openedKey{}).(*opened); ok {
		o.Ticket = by.ticket
	}
	a := about{Size: info.Size, Created: time.Now().UTC(), Meta: info.MetaData, Order: o}
	b, err := json.Marshal(a)
	if err != nil {
		return nil, problem(fmt.Errorf("new part: %w", err))
	}
	p, err := s.h.cfg.Spool.NewPart(spool.NewID(), b)
	if err != nil {
		return nil, problem(err)
	}
	u := &upload{s: s, part: p, about: a}
	u.ownedBy(ctx)
	return u, nil
}

// ownedBy has the part closed when the request ends.
func (u *upload) ownedBy(ctx context.Context) {
	if o, ok := ctx.Value(openedKey{}).(*opened); ok {
		o.add(u)
	}
}

// room wants a place among the parts, and space for a whole file.
func (s *store) room(size int64) error {
	parts, err := s.h.cfg.Spool.Parts()
	if err != nil {
		return err
	}
	if len(parts) >= s.h.cfg.MaxParts {
		return fmt.Errorf("upload: %w: %d files wait for more bytes", vstack.ErrTooManyUploads, len(parts))
	}
	return s.h.cfg.Spool.Room(size)
}

// GetUpload opens a part.
func (s *store) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	u, err := s.open(id)
	if err != nil {
		return nil, problem(err)
	}
	u.ownedBy(ctx)
	return u, nil
}

func (s *store) open(id string) (*upload, error) {
	b, err := s.h.cfg.Spool.About(id)
	if err != nil {
		return nil, err
	}
	a, err := parseAbout(b)
	if err != nil {
		return nil, err
	}
	p, err := s.h.cfg.Spool.OpenPart(id)
	if err != nil {
		return nil, err
	}
	return &upload{s: s, part: p, about: a}, nil
}

// AsTerminatableUpload implements tusd's interface for DELETE.
func (s *store) AsTerminatableUpload(u handler.Upload) handler.TerminatableUpload {
	return u.(*upload)
}

// GetInfo says how far the part is.
func (u *upload) GetInfo(context.Context) (handler.FileInfo, error) {
	return handler.FileInfo{ID: u.part.ID, Size: u.about.Size, Offset: u.part.Size(), MetaData: u.about.Meta}, nil
}

// WriteChunk appends what comes and has it on disk on return, whatever ended it.
func (u *upload) WriteChunk(_ context.Context, offset int64, src io.Reader) (int64, error) {
	if offset != u.part.Size() {
		return 0, problem(fmt.Errorf("part %s: %w: it has %d bytes", u.part.ID, vstack.ErrOffset, u.part.Size()))
	}
	u.s.h.cfg.Arrives(u.part, u.about.Order) // which also says what of it was not on disk
	n, err := io.CopyBuffer(arriving{u}, src, make([]byte, copyBuffer))
	if e := u.part.Sync(); e != nil {
		// What is not known to be on disk is not said to be: the part stands at its last mark.
		return 0, problem(errors.Join(err, e))
	}
	if err != nil {
		return n, problem(err)
	}
	return n, nil
}

// FinishUpload has nothing left to do: the bytes are on disk.
func (u *upload) FinishUpload(context.Context) error { return nil }

// GetReader is not served: a part is given back to nobody.
func (u *upload) GetReader(context.Context) (io.ReadCloser, error) {
	return nil, problem(fmt.Errorf("part %s: %w", u.part.ID, vstack.ErrMethod))
}

// Terminate removes the part.
func (u *upload) Terminate(context.Context) error {
	u.s.h.cfg.Gone(u.part.ID)
	err := errors.Join(u.part.Close(), u.s.h.cfg.Spool.RemovePart(u.part.ID))
	if err != nil {
		return problem(err)
	}
	u.s.h.end(u.part.ID, outcome{err: fmt.Errorf("part %s: %w", u.part.ID, vstack.ErrNotFound)})
	return nil
}

// arriving writes to a part and says that it has grown.
type arriving struct{ u *upload }

func (a arriving) Write(b []byte) (int, error) {
	n, err := a.u.part.Write(b)
	a.u.s.h.cfg.Arrives(a.u.part, a.u.about.Order)
	return n, err
}
