package metastore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/levels"
)

func (s *Server) getLevel(c echo.Context) error {
	return answers.JSON(c, s.levels(c.Request().Context()))
}

// raiseLevel raises the feature level once everybody who takes part reports it.
func (s *Server) raiseLevel(c echo.Context) error {
	var req wire.RaiseLevelRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	now := s.levels(c.Request().Context())
	switch {
	case req.Level < vstack.LevelFirst || req.Level > now.Newest:
		return fmt.Errorf("raise the feature level to %d: %w: the leader's program knows 1 to %d", req.Level, vstack.ErrInvalid, now.Newest)
	case req.Level <= now.Level: // a repeat
		return answers.JSON(c, now)
	case req.Level > now.Allowed:
		return fmt.Errorf("raise the feature level to %d: %w: %s", req.Level, vstack.ErrLevelTooOld, levels.HoldUp(now, req.Level))
	}
	if _, err := s.commit(c, command.RaiseLevel, command.RaiseLevelPayload{Level: req.Level}); err != nil {
		return err
	}
	s.cfg.Logger.Warn("feature level raised: older programs cannot take part any more", "from", now.Level, "to", req.Level)
	return answers.JSON(c, s.levels(c.Request().Context()))
}

// levels asks all members, and tells what stores reported to this leader.
func (s *Server) levels(ctx context.Context) wire.LevelReport {
	view := s.catalog.View()
	return levels.Report(view.Level(), s.members.Peers(ctx), view.Stores(), s.monitor.Level)
}

// levelPatience is how long a fresh cluster waits for those who have not said yet which level
// they know: a store is in the catalog a moment before its first heartbeat counts, and a member
// of a busy machine may be late.
const levelPatience = 10 * time.Second

// startLevel makes what brings a catalog that has no placement yet to the highest level that all
// members and stores know: a fresh cluster has no past that older programs would have to
// read. An error means that it is not the time for a placement yet. Where one of them does not
// answer for levelPatience, an operator raises the level later.
func (s *Server) startLevel() func(context.Context, *catalog.View) error {
	var term uint64     // in which it leads
	var since time.Time // it looked first in that: nobody has reported to a new leader
	return func(ctx context.Context, view *catalog.View) error {
		if lead, _ := s.node.Leading(); since.IsZero() || lead.Term != term {
			term, since = lead.Term, time.Now()
		}
		return s.raiseFresh(ctx, view, time.Since(since) < levelPatience)
	}
}

// raiseFresh raises the level; a patient one waits for those who have said nothing.
func (s *Server) raiseFresh(ctx context.Context, view *catalog.View, patient bool) error {
	if !view.Cluster().IsZero() || !view.Empty() || view.Level() >= vstack.NewestLevel {
		return nil
	}
	now := s.levels(ctx)
	silent := func(r wire.ReportedLevel) bool { return r.Silent && !r.Lost }
	if (slices.ContainsFunc(now.Members, silent) || slices.ContainsFunc(now.Stores, silent)) && patient {
		return fmt.Errorf("%w: %s", vstack.ErrNotReady, levels.HoldUp(now, vstack.NewestLevel))
	}
	lost := func(r wire.ReportedLevel) bool { return r.Lost }
	if now.Allowed <= now.Level || slices.ContainsFunc(now.Stores, lost) {
		return nil
	}
	if _, err := s.proposals.Propose(ctx, command.RaiseLevel, command.RaiseLevelPayload{Level: now.Allowed}, "", ""); err != nil {
		return err
	}
	s.cfg.Logger.Info("fresh cluster starts at feature level", "level", now.Allowed)
	return nil
}
