package uploader

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// seen is a catalog of a level at which films may be private; it notes how uploads are opened.
type seen struct {
	*cluster
	level vstack.Level

	mu     sync.Mutex
	opened []vstack.Visibility
	as     map[vstack.VideoID]vstack.Visibility
}

func (s *seen) Level() vstack.Level { return s.level }

func (s *seen) OpenUpload(ctx context.Context, req wire.OpenUploadRequest) (vstack.Upload, error) {
	up, err := s.cluster.OpenUpload(ctx, req)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, req.Visibility)
	s.as[up.Video] = req.Visibility
	return up, err
}

func (s *seen) Video(ctx context.Context, id vstack.VideoID) (vstack.Video, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if as, ok := s.as[id]; ok {
		return vstack.Video{ID: id, Access: vstack.Access{Visibility: as}}, nil
	}
	return s.cluster.Video(ctx, id)
}

func (s *seen) last() vstack.Visibility {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened[len(s.opened)-1]
}

func TestAnUploadIsOpenedAsTheFilmIsToBeSeen(t *testing.T) {
	c := &seen{cluster: newCluster(), level: vstack.LevelAccess, as: map[vstack.VideoID]vstack.Visibility{}}
	reached, open := stuckAfter(t, c.cluster, 1)
	h := startHost(t, c.cluster, t.TempDir(), func(cfg *Config) { cfg.Catalog = c })
	file := clip(t, "h264.mp4")
	acc := h.upload(t, file, field{"visibility", "private"})
	if c.last() != vstack.VisibilityPrivate {
		t.Errorf("opened as %q", c.last())
	}
	<-reached
	for _, f := range [][]field{{{"visibility", "public"}}, {{"visibility", "secret"}}, {{"visibility", "private"}, {"dedup", "true"}}} {
		b, kind := body(t, file, append(f, field{"resume", acc.Upload.String()})...)
		h.refused(t, vstack.ErrFormInvalid, kind, b)
	}
	if again := h.upload(t, file, field{"resume", acc.Upload.String()}, field{"visibility", "private"}); again.Upload != acc.Upload {
		t.Errorf("joined %+v", again)
	}
	open()
	if j := h.finished(t, acc.Upload, wire.JobPublished); j.Visibility != vstack.VisibilityPrivate {
		t.Errorf("job says %q", j.Visibility)
	}

	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	path := h.created(t, len(data), map[string]string{"filename": "film.mp4", "visibility": "unlisted"})
	h.patch(t, path, 0, data)
	if c.last() != vstack.VisibilityUnlisted {
		t.Errorf("by tus opened as %q", c.last())
	}
	h.upload(t, file)
	if c.last() != "" {
		t.Errorf("without a word opened as %q", c.last())
	}
}

// Where the catalog cannot keep a film private it is not taken, before its bytes are.
func TestNoFilmIsTakenThatCannotBeKeptPrivate(t *testing.T) {
	c := &seen{cluster: newCluster(), level: vstack.LevelAccess - 1, as: map[vstack.VideoID]vstack.Visibility{}}
	h := startHost(t, c.cluster, t.TempDir(), func(cfg *Config) { cfg.Catalog = c })
	b, kind := body(t, clip(t, "h264.mp4"), field{"visibility", "private"})
	h.refused(t, vstack.ErrFormInvalid, kind, b)
	if len(c.opened) > 0 {
		t.Errorf("opened as %q", c.opened)
	}
}

// Another host goes on with an upload as the catalog has it, and not otherwise.
func TestAFilmIsNotTakenOverToBeSeenByOthers(t *testing.T) {
	c := &seen{cluster: newCluster(), level: vstack.LevelAccess, as: map[vstack.VideoID]vstack.Visibility{}}
	h := startHost(t, c.cluster, t.TempDir(), func(cfg *Config) { cfg.Catalog = c })
	file := clip(t, "h264.mp4")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	up, err := c.OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "t", Owner: vstack.ProposerID{9}, Visibility: vstack.VisibilityPrivate,
		Source: vstack.Source{Size: int64(len(data)), SHA256: vstack.ChunkIDOf(data)}})
	if err != nil {
		t.Fatal(err)
	}
	b, kind := body(t, file, field{"resume", up.ID.String()}, field{"visibility", "public"})
	h.refused(t, vstack.ErrFormInvalid, kind, b)
	h.upload(t, file, field{"resume", up.ID.String()}, field{"visibility", "private"})
	h.finished(t, up.ID, wire.JobPublished)
}
