package metastore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/forward"
	"github.com/vstack/vstack/metastore/watching"
)

func (s *Server) listUploads(c echo.Context) error {
	before, limit, err := asked.Page(c.QueryParams())
	if err != nil {
		return err
	}
	state, err := asked.State(c.QueryParams(), vstack.UploadOpen, vstack.UploadPublished, vstack.UploadAborted)
	source, serr := asked.Source(c.QueryParams())
	if err := cmp.Or(err, serr); err != nil {
		return err
	}
	view := s.catalog.View()
	items, next := view.Uploads(state, source, before, limit)
	if items == nil {
		items = []vstack.Upload{}
	}
	return answers.JSON(c, wire.List[vstack.Upload]{Items: watching.Uploads(view, callerOf(c), items), Next: asked.Cursor(next)})
}

func (s *Server) getUpload(c echo.Context) error {
	id, err := uploadID(c)
	if err != nil {
		return err
	}
	view := s.catalog.View()
	u, err := view.Upload(id)
	if err == nil && len(watching.Uploads(view, callerOf(c), []vstack.Upload{u})) == 0 {
		err = fmt.Errorf("upload %s: %w", id, vstack.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return answers.JSON(c, u)
}

func (s *Server) openUpload(c echo.Context) error {
	var req wire.OpenUploadRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	if err := callerOf(c).ActsFor(req.Owner); err != nil {
		return fmt.Errorf("open an upload: %w", err)
	}
	if err := watching.Check(s.catalog.View(), req.Visibility); err != nil {
		return err
	}
	video, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a video id: %w", err)
	}
	upload, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an upload id: %w", err)
	}
	p := command.OpenUploadPayload{Upload: vstack.UploadID(upload), Video: vstack.VideoID(video), Title: cmp.Or(req.Title, req.Source.Name),
		Policy: cmp.Or(req.Policy, vstack.PolicyAuto), Owner: req.Owner, Source: req.Source, Visibility: req.Visibility}
	if err := command.CheckOpen(p); err != nil {
		return err
	}
	return s.answerUpload(c, command.OpenUpload, p)
}

func (s *Server) resumeUpload(c echo.Context) error {
	id, err := uploadID(c)
	if err != nil {
		return err
	}
	var req wire.ResumeUploadRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	if err := errors.Join(callerOf(c).ActsFor(req.Owner), s.mayTake(callerOf(c), id)); err != nil {
		return fmt.Errorf("resume upload %s: %w", id, err)
	}
	return s.answerUpload(c, command.ResumeUpload, command.ResumeUploadPayload{Upload: id, Owner: req.Owner})
}

func (s *Server) abortUpload(c echo.Context) error {
	id, err := uploadID(c)
	if err != nil {
		return err
	}
	inc, err := asked.Number(c.QueryParams(), "incarnation")
	if err != nil {
		return err
	}
	u, err := s.catalog.View().Upload(id)
	if err == nil {
		err = callerOf(c).ActsFor(u.Owner)
	}
	if err != nil {
		return fmt.Errorf("abort upload %s: %w", id, err)
	}
	return s.answerUpload(c, command.AbortUpload, command.AbortUploadPayload{Upload: id, Incarnation: vstack.Incarnation(inc)})
}

// mayTake lets an upload be resumed by its owner, by an administrator, and by another host
// once the owner's does not answer. A host without stores reports nothing, so that nobody
// can tell whether it lives: its uploads go on elsewhere at any time.
func (s *Server) mayTake(by forward.Caller, id vstack.UploadID) error {
	view := s.catalog.View()
	u, err := view.Upload(id)
	if err != nil || by.ActsFor(u.Owner) == nil {
		return err
	}
	for _, n := range s.monitor.Nodes(view.Stores(), time.Now()) {
		up := slices.ContainsFunc(n.Stores, func(st wire.NodeStore) bool { return st.State == vstack.StoreUp })
		if u.Owner.Of(n.Host) && up {
			return fmt.Errorf("%w, and host %s is up", by.ActsFor(u.Owner), n.Host)
		}
	}
	return nil
}

func (s *Server) answerUpload(c echo.Context, t command.Type, payload any) error {
	res, err := s.commit(c, t, payload)
	if err != nil {
		return err
	}
	return answers.JSON(c, res.Upload)
}

// publish checks the manifest before it costs a log entry; the catalog checks it again.
func (s *Server) publish(c echo.Context) error {
	id, err := uploadID(c)
	if err != nil {
		return err
	}
	select {
	case s.publishes <- struct{}{}:
		defer func() { <-s.publishes }()
	case <-c.Request().Context().Done():
		return fmt.Errorf("publish upload %s: %w: %d others are under way", id, vstack.ErrUnavailable, maxPublishes)
	}
	var req wire.PublishRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	view := s.catalog.View()
	u, err := view.Upload(id)
	if err != nil {
		return err
	}
	if err := callerOf(c).ActsFor(u.Owner); err != nil {
		return fmt.Errorf("publish upload %s: %w", id, err)
	}
	// Below vstack.LevelFormats every manifest is checked: one that says more than version 1
	// would halt members of that level.
	if u.State == vstack.UploadOpen || view.Level() < vstack.LevelFormats {
		if _, err := command.CheckManifest(&req.Manifest, u.Video, view.Level()); err != nil {
			return fmt.Errorf("publish upload %s: %w", id, err)
		}
	}
	// Asked of every upload: a member of LevelFirst could not read the entry.
	if _, err := command.CheckSource(u.Source, req.Source, view.Level()); err != nil {
		return fmt.Errorf("publish upload %s: %w", id, err)
	}
	return s.answerVideo(c, command.Publish, command.PublishPayload{Upload: id, Incarnation: req.Incarnation, Manifest: &req.Manifest, Source: req.Source})
}
