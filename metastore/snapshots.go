package metastore

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/backup"
	"github.com/vstack/vstack/metastore/conns"
)

// saveSnapshot streams the catalog: by default the leader's, confirmed by a majority, so
// that every write acknowledged before is in it; stale, that of the member asked.
func (s *Server) saveSnapshot(c echo.Context) error {
	_, leads := s.node.Leading()
	switch level := c.QueryParam("consistency"); level {
	case "stale":
	case "", "default", "linearizable":
		if !leads {
			return fmt.Errorf("save the catalog: %w here: ask %q, or say consistency=stale", vstack.ErrNoLeader, s.node.Leader())
		}
		if err := s.linearize(c.Request().Context()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("parameter consistency=%.40q: %w: want stale, default or linearizable", level, vstack.ErrInvalid)
	}
	view := s.catalog.View()
	s.sign(c, view.Applied())
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, echo.MIMEOctetStream)
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set(echo.HeaderContentDisposition, fmt.Sprintf(`attachment; filename="vstack-%d.backup"`, view.Applied()))
	c.Response().WriteHeader(http.StatusOK)
	out := conns.NewWriter(c.Response(), http.NewResponseController(c.Response().Writer))
	err := backup.Write(out, view, backup.Origin{Node: s.cfg.ID, Term: s.node.Term(), Leader: leads, Time: time.Now()})
	if err != nil { // the file ends short of its SHA-256, which whoever reads it sees
		s.cfg.Logger.Warn("catalog was not saved to its end", "to", c.RealIP(), "err", err)
	} else if err := s.backups.Taken(time.Now()); err != nil {
		s.cfg.Logger.Warn("the next start will not know of this backup", "err", err)
	}
	return nil
}

// restoreSnapshot reads a backup to its end, holds it to its checksums, and makes it the
// catalog of all members. Until then nothing is changed; only an empty catalog is.
func (s *Server) restoreSnapshot(c echo.Context) error {
	lead, leads := s.node.Leading()
	if !leads {
		return fmt.Errorf("restore a backup: %w here: ask %q", vstack.ErrNoLeader, s.node.Leader())
	}
	select {
	case s.restores <- struct{}{}:
		defer func() { <-s.restores }()
	default:
		return fmt.Errorf("restore a backup: %w: another restore is under way", vstack.ErrUnavailable)
	}
	if err := backup.May(s.catalog.View(), vstack.ClusterID{}); err != nil {
		return err
	}
	ctl := http.NewResponseController(c.Response().Writer)
	info, view, err := backup.Rebase(conns.NewReader(c.Request().Body, ctl), s.node.Status().LastIndex, s.catalog.View().Level(), time.Now())
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return fmt.Errorf("restore a backup: %w: more than %d bytes", vstack.ErrTooLarge, large.Limit)
		}
		return err
	}
	// Raft's own goroutine writes snapshots for as long as that takes.
	if err := ctl.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("restore a backup: %w", err)
	}
	if err := s.proposals.Restore(c.Request().Context(), s.cfg.Dir, lead.Term, info, view); err != nil {
		return err
	}
	n := view.Counts()
	sum, err := view.Checksum()
	if err != nil {
		return err
	}
	s.cfg.Logger.Warn("catalog restored from a backup", "cluster", info.Cluster, "from", info.Index, "saved", info.Time, "goes_on_at", view.Applied(),
		"published", n.Published, "aborted_uploads", info.Counts.Open)
	s.sign(c, view.Applied())
	return answers.JSON(c, wire.RestoreReply{Cluster: info.Cluster, From: info.Index, Index: view.Applied(), Checksum: sum,
		Videos: n.Videos, Published: n.Published, Chunks: n.Chunks, Aborted: info.Counts.Open, Stores: n.Stores})
}
