package metastore

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/manifest"
)

func (s *Server) listUploads(c echo.Context) error {
	before, limit, err := page(c)
	if err != nil {
		return err
	}
	state := vstack.UploadState(c.QueryParam("state"))
	switch state {
	case "", vstack.UploadOpen, vstack.UploadPublished, vstack.UploadAborted:
	default:
		return fmt.Errorf("parameter state=%.40q: %w: want open, published or aborted", state, vstack.ErrInvalid)
	}
	var source vstack.ChunkID
	if v := c.QueryParam("source_sha256"); v != "" {
		if source, err = vstack.ParseChunkID(v); err != nil {
			return fmt.Errorf("parameter source_sha256: %w", err)
		}
	}
	items, next := s.catalog.View().Uploads(state, source, before, limit)
	if items == nil {
		items = []vstack.Upload{}
	}
	return answer(c, wire.List[vstack.Upload]{Items: items, Next: cursor(next)})
}

func (s *Server) getUpload(c echo.Context) error {
	id, err := uploadID(c)
	if err != nil {
		return err
	}
	u, err := s.catalog.View().Upload(id)
	if err != nil {
		return err
	}
	return answer(c, u)
}

func (s *Server) openUpload(c echo.Context) error {
	var req wire.OpenUploadRequest
	if err := decode(c, &req, false); err != nil {
		return err
	}
	orDefault(&req.Policy, vstack.PolicyAuto)
	orDefault(&req.Title, req.Source.Name)
	video, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a video id: %w", err)
	}
	upload, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an upload id: %w", err)
	}
	p := catalog.OpenUploadPayload{Upload: vstack.UploadID(upload), Video: vstack.VideoID(video), Title: req.Title,
		Policy: req.Policy, Owner: req.Owner, Source: req.Source}
	if err := catalog.CheckOpen(p); err != nil {
		return err
	}
	return s.answerUpload(c, catalog.OpenUpload, p)
}

func (s *Server) resumeUpload(c echo.Context) error {
	id, err := uploadID(c)
	if err != nil {
		return err
	}
	var req wire.ResumeUploadRequest
	if err := decode(c, &req, false); err != nil {
		return err
	}
	return s.answerUpload(c, catalog.ResumeUpload, catalog.ResumeUploadPayload{Upload: id, Owner: req.Owner})
}

func (s *Server) abortUpload(c echo.Context) error {
	id, err := uploadID(c)
	if err != nil {
		return err
	}
	inc, err := queryUint(c, "incarnation")
	if err != nil {
		return err
	}
	return s.answerUpload(c, catalog.AbortUpload, catalog.AbortUploadPayload{Upload: id, Incarnation: vstack.Incarnation(inc)})
}

func (s *Server) answerUpload(c echo.Context, t catalog.Type, payload any) error {
	res, err := s.commit(c, t, payload)
	if err != nil {
		return err
	}
	return answer(c, res.Upload)
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
	if err := decode(c, &req, false); err != nil {
		return err
	}
	u, err := s.catalog.View().Upload(id)
	if err != nil {
		return err
	}
	if u.State == vstack.UploadOpen {
		if _, err := manifest.Check(&req.Manifest, u.Video); err != nil {
			return fmt.Errorf("publish upload %s: %w", id, err)
		}
	}
	return s.answerVideo(c, catalog.Publish, catalog.PublishPayload{Upload: id, Incarnation: req.Incarnation, Manifest: &req.Manifest})
}
