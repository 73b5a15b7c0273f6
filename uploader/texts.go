package uploader

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/cut"
	"github.com/vstack/vstack/uploader/intake"
	"github.com/vstack/vstack/uploader/order"
	"github.com/vstack/vstack/uploader/subtitle"
)

// keepText keeps subtitles for the film that will name them, as WebVTT.
func (s *Server) keepText(b []byte) (wire.Subtitles, error) {
	text, err := subtitle.Parse(b)
	if err != nil {
		return wire.Subtitles{}, err
	}
	// Longer than any job of a film that names it.
	id, err := s.spool.PutText(text.Bytes(), s.cfg.RetryFor+24*time.Hour)
	return wire.Subtitles{ID: id, Cues: len(text)}, err
}

// postSubtitles takes subtitles in advance: a resumable upload then names them.
func (s *Server) postSubtitles(c echo.Context) error {
	if err := s.gate.Beside(c.Request()); err != nil {
		return err
	}
	g := intake.New(c.Response(), c.Request().Body, subtitle.MaxBytes, s.cfg.MinRate, s.cfg.RateWindow)
	defer g.Over()
	kept, err := func() (wire.Subtitles, error) {
		release, err := s.admit(c.Request())
		if err != nil {
			return wire.Subtitles{}, err
		}
		defer release()
		b, err := io.ReadAll(g)
		if err != nil {
			return wire.Subtitles{}, order.BodyError(err)
		}
		g.Ended()
		return s.keepText(b)
	}()
	if err != nil {
		intake.Refuse(s.ctx, c.Response(), c.Request(), g, func() { c.Error(err) })
		return nil
	}
	return c.JSON(http.StatusCreated, kept)
}

// texts reads the subtitles of an order.
func (s *Server) texts(list []order.Subtitles) ([]cut.Subtitles, error) {
	var out []cut.Subtitles
	for _, t := range list {
		b, err := s.spool.Text(t.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, cut.Subtitles{Language: t.Language, Data: b})
	}
	return out, nil
}

// judgeTexts wants the subtitles that an order names to be here.
func (s *Server) judgeTexts(list []order.Subtitles) error {
	for _, t := range list {
		_, err := s.spool.Text(t.ID)
		if errors.Is(err, vstack.ErrNotFound) {
			err = fmt.Errorf("form: %w: no subtitles %s here; POST them to /v1/subtitles first", vstack.ErrFormInvalid, t.ID.Short())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
