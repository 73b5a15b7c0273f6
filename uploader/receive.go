package uploader

import (
	"fmt"
	"io"
	"net/http"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/access"
	"github.com/vstack/vstack/uploader/intake"
	"github.com/vstack/vstack/uploader/order"
	"github.com/vstack/vstack/uploader/spool"
)

// admit takes a place for a body that arrives, where one more job would be taken. The last
// eighth of the places is for those who have none.
func (s *Server) admit(r *http.Request) (release func(), err error) {
	if n := s.load(); n >= s.cfg.MaxQueued {
		return nil, fmt.Errorf("upload: %w: %d jobs wait", vstack.ErrTooManyUploads, n)
	}
	key := admission.KeyOf(r)
	if err := s.receiving.TryAcquire(key, 1); err != nil {
		return nil, fmt.Errorf("upload: %w: %v", vstack.ErrTooManyUploads, err)
	}
	return func() { s.receiving.Release(key, 1) }, nil
}

// receive answers POST /upload: it stores the file and has it accepted. On any error
// nothing is left of it.
func (s *Server) receive(r *http.Request, g *intake.Guard) (acc wire.Accepted, err error) {
	release, err := s.admit(r)
	if err != nil {
		return acc, err
	}
	defer release()
	if r.ContentLength > s.cfg.MaxUpload+order.MaxOverhead {
		return acc, fmt.Errorf("upload: %w: body of %d bytes, files of at most %d", vstack.ErrTooLarge, r.ContentLength, s.cfg.MaxUpload)
	}
	if err := s.spool.Room(max(r.ContentLength, 0)); err != nil {
		return acc, err
	}
	form, err := order.ReadForm(r, g, func(b []byte) (vstack.ChunkID, error) {
		kept, err := s.keepText(b)
		return kept.ID, err
	})
	if err != nil {
		return acc, err
	}
	form.Order.Ticket = access.Presented(r)
	if err := s.judge(r.Context(), &form.Order); err != nil {
		return acc, err
	}
	part, err := s.spool.NewPart(spool.NewID(), nil)
	if err != nil {
		return acc, err
	}
	defer s.discard(part) // gone already when a job has adopted it
	if err := s.store(part, form, r.ContentLength); err != nil {
		return acc, err
	}
	if err := form.End(); err != nil {
		return acc, err
	}
	g.Ended()
	if err := part.Sync(); err != nil {
		return acc, err
	}
	return s.accept(r.Context(), part, form.Order)
}

func (s *Server) discard(part *spool.Part) {
	s.gone(part.ID)
	_ = part.Close() // its bytes are of no more use
	if err := s.spool.RemovePart(part.ID); err != nil {
		s.log.Error("remove a part", "part", part.ID, "err", err)
	}
}

// store writes the file to its end; length is the request's.
func (s *Server) store(part *spool.Part, form *order.Form, length int64) error {
	body := s.bodies.begin(part.ID, form.Order, length)
	defer s.bodies.end(part.ID)
	buf := make([]byte, 256<<10) // package multipart hands out 4 KiB at a time
	for ended := false; !ended; {
		n := 0
		for n < len(buf) && !ended {
			k, err := form.Video.Read(buf[n:])
			n += k
			if ended = err == io.EOF; err != nil && !ended {
				return order.BodyError(err)
			}
		}
		if part.Size()+int64(n) > s.cfg.MaxUpload {
			return fmt.Errorf("upload: %w: files of at most %d bytes", vstack.ErrTooLarge, s.cfg.MaxUpload)
		}
		if _, err := part.Write(buf[:n]); err != nil {
			return err
		}
		body.grew(part.Size())
		s.arrives(part, form.Order)
	}
	return nil
}
