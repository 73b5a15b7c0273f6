package strangers

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// shown is a catalog of videos of which some are listed; it counts questions.
type shown struct {
	listed []vstack.VideoID
	gone   bool
	asked  int
}

func (s *shown) Video(ctx context.Context, id vstack.VideoID) (vstack.Video, error) {
	s.asked++
	if s.gone {
		<-ctx.Done()
		return vstack.Video{}, ctx.Err()
	}
	if slices.Contains(s.listed, id) {
		return vstack.Video{ID: id}, nil
	}
	return vstack.Video{ID: id, Access: vstack.Access{Visibility: vstack.VisibilityPrivate}}, nil
}

// TestStrangersDoNotWorkTheCatalog has them ask again and again: it is asked once in two seconds,
// and a catalog that is gone keeps none for longer than one question takes.
func TestStrangersDoNotWorkTheCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []wire.Job
		for i := range byte(200) {
			all = append(all, wire.Job{Video: vstack.VideoID{i}})
		}
		c, s := &shown{listed: []vstack.VideoID{{7}, {9}}}, &Filter{}
		for range 50 {
			got, err := s.Jobs(t.Context(), c, slices.Clone(all))
			if err != nil || len(got) != 2 || got[0].Video != c.listed[0] || got[1].Video != c.listed[1] {
				t.Fatalf("%d jobs, %v", len(got), err)
			}
		}
		if c.asked != len(all) {
			t.Errorf("%d questions for 50 lists of %d jobs", c.asked, len(all))
		}
		time.Sleep(goodFor) // of the bubble
		c.listed = nil
		if got, err := s.Jobs(t.Context(), c, slices.Clone(all)); err != nil || len(got) != 0 {
			t.Errorf("after they became private: %d jobs, %v", len(got), err)
		}
		time.Sleep(goodFor) // of the bubble
		c.gone = true
		began := time.Now()
		if _, err := s.Jobs(t.Context(), c, slices.Clone(all)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > patience {
			t.Errorf("without a catalog: %v after %v", err, time.Since(began))
		}
	})
}
