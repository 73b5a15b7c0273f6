package short

import (
	"errors"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

func TestAnIDMayBeShortened(t *testing.T) {
	var ids []vstack.VideoID
	for _, s := range []string{"019ac1d2-0000-7000-8000-0000000000aa", "019ac1d2-0000-7000-8000-0000000000bb", "019ac1d3-0000-7000-8000-00000000c0de"} {
		id, err := vstack.ParseVideoID(s)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id, id) // seen twice is found once
	}
	for name, tc := range map[string]struct {
		text string
		want string // the end of the id that is found
		err  error
	}{
		"by its beginning":           {"019ac1d3", "c0de", nil},
		"by its end":                 {"00aa", "00aa", nil},
		"whole":                      {"019ac1d2-0000-7000-8000-0000000000bb", "00bb", nil},
		"of several, none":           {"019ac1d2", "", console.ErrUsage},
		"of none":                    {"dead", "", vstack.ErrNotFound},
		"too short":                  {"0aa", "", console.ErrUsage},
		"what is no part of any id":  {"film.mp4", "", console.ErrUsage},
		"from the middle is no part": {"7000", "", vstack.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			f := New[vstack.VideoID]("video", tc.text, "vstack video ls")
			err := f.Check()
			var got vstack.VideoID
			if err == nil {
				for _, id := range ids {
					f.Look(id)
				}
				got, err = f.Only()
			}
			if !errors.Is(err, tc.err) || err == nil && !strings.HasSuffix(got.String(), tc.want) {
				t.Errorf("found %s, %v", got, err)
			}
		})
	}
}
