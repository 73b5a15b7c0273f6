package metastore

import (
	"cmp"
	"fmt"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/manifest"
	"github.com/vstack/vstack/metastore/placement"
	"github.com/vstack/vstack/metastore/redundancy"
)

// setClass takes a pin, or lets popularity decide. A pin that the video's groups cannot
// follow is refused with the figures, rather than waited for.
func (s *Server) setClass(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	var req wire.ClassRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	if err := command.CheckPolicy(req.Policy); err != nil {
		return err
	}
	view := s.catalog.View()
	v, err := view.Video(id)
	if err != nil {
		return err
	}
	if req.Layout != nil {
		if _, err := catalog.CheckLayout(&v, *req.Layout, view.Level()); err != nil {
			return err
		}
	}
	if req.Policy == vstack.PolicyCold && v.Class == vstack.ClassHot && v.State == vstack.VideoPublished {
		if err := s.bears(view, id, layoutOf(view, v, req.Layout)); err != nil {
			return err
		}
	}
	p := command.SetPolicyPayload{Video: id, Policy: req.Policy}
	if req.Layout != nil {
		p.Layout = *req.Layout
	}
	return s.answerVideo(c, command.SetPolicy, p)
}

// layoutOf is the layout that a hot video would cool in.
func layoutOf(view *catalog.View, v vstack.Video, asked *vstack.Layout) vstack.Layout {
	switch {
	case asked != nil:
		return *asked
	case !v.Layout.IsZero():
		return v.Layout
	}
	policy, _ := view.Redundancy()
	return policy.Layout
}

func (s *Server) bears(view *catalog.View, id vstack.VideoID, l vstack.Layout) error {
	if level := view.Level(); level < vstack.LevelFragments {
		return nil // it cools once the level is raised
	}
	m, _, err := view.Manifest(id)
	if err != nil {
		return err
	}
	policy, _ := view.Redundancy()
	at := view.Placement()
	if err := placement.Bears(at, manifest.Groups(m), l.Scheme, policy.HostsCanFail); err != nil && !redundancy.Comes(at, view.Level(), l.Scheme, policy.HostsCanFail) {
		return fmt.Errorf("pin video %s cold: %w", id, err)
	}
	return nil
}

func (s *Server) getVideoPlacement(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	view := s.catalog.View()
	hidden := s.hidden(c, view, id, "")
	video, err := view.Video(id)
	if err := cmp.Or(err, hidden); err != nil {
		return err
	}
	manifest, _, err := view.Manifest(id)
	if err != nil {
		return err
	}
	current := view.Placement()
	if !current.Ready() {
		return fmt.Errorf("placement of video %s: %w", id, vstack.ErrNotReady)
	}
	out := redundancy.Places(current, video, manifest)
	if l, leads := s.node.Leading(); leads {
		out.Groups, out.Waiting = s.classes.Waiting(l, view, video, manifest)
		held := s.classes.Judge(l, view).Video(video, manifest)
		out.Held = &held
	}
	return answers.JSON(c, out)
}
