package checkup

import (
	"time"

	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// abandonedAfter is the age at which an upload is asked about: an uploader goes on for seven
	// days, and then gives up by itself, unless its host never came back.
	abandonedAfter = 8 * 24 * time.Hour
	// mostUploads are open at once (docs/limits.md); manyUploads is when that is said.
	mostUploads, manyUploads = 1024, mostUploads * 3 / 4
)

// uploads judges those that are open: of what nobody will finish the cluster keeps the chunks.
func uploads(f *Facts) []doctor.Finding {
	var out []doctor.Finding
	old, oldest := 0, vstack.Video{}
	for _, v := range f.Uploading {
		if f.Now.Sub(v.Created) > abandonedAfter {
			old++
			if oldest.ID.IsZero() || v.Created.Before(oldest.Created) {
				oldest = v
			}
		}
	}
	if old > 0 {
		out = append(out, found("uploads", doctor.Warn, "vstack video ls --state uploading; where nobody goes on with one: vstack video rm VIDEO --yes",
			"%d open for longer than %d days, whose chunks are kept; the oldest is video %s, opened %s", old, int(abandonedAfter.Hours()/24), oldest.ID, oldest.Created.UTC().Format(time.DateOnly)))
	}
	if n := len(f.Uploading); n > manyUploads {
		out = append(out, found("uploads", doctor.Warn, "vstack video jobs; vstack video ls --state uploading", "%d are open; above %d none is taken", n, mostUploads))
	}
	return out
}
