package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

// Uploaded shows what became of uploads.
func Uploaded(jobs []wire.Job) console.Table {
	t := console.Table{Head: []string{"video", "title", "state", "length", "chunks", "sent", "reused"}, Right: []int{3, 4, 5, 6}, Flex: "title", Yield: []string{"reused", "chunks", "sent", "length"}}
	var notes []string
	for _, j := range jobs {
		t.Rows = append(t.Rows, []any{j.Video, j.Title, j.State, console.Clock(j.Duration), j.Chunks, console.Bytes(j.Bytes), j.Reused})
		for _, w := range j.Warnings {
			notes = append(notes, fmt.Sprintf("note: %s: %s", j.Title, w))
		}
	}
	t.Foot = strings.Join(notes, "\n")
	return t
}

// silent is how long nothing has come of a file before it is said to wait for its client.
const silent = 10 * time.Second

// Jobs shows what the uploaders work on.
func Jobs(jobs []cluster.HostJob, now time.Time) console.Table {
	t := console.Table{Head: []string{"job", "title", "state", "done", "left", "chunks", "uploader", "started", "waits for"}, Right: []int{3, 4, 5}, Flex: "title", Yield: []string{"chunks", "started", "uploader", "left", "done"},
		Empty: "no jobs; vstack video jobs --all shows the ended ones"}
	for _, j := range jobs {
		done, left, waits, id := "", "", "", any(j.Upload)
		if j.Duration > 0 {
			done = fmt.Sprintf("%.0f %%", 100*min(j.Position/j.Duration, 1))
		}
		if j.State == wire.JobRunning && j.Speed > 0 && j.Error == nil {
			left = console.Clock(max(j.Duration-j.Position, 0) / j.Speed)
		}
		if j.Error != nil {
			waits = string(j.Error.Code)
		}
		if j.State == wire.JobReceiving {
			id, left = "–", ""
			done = console.Bytes(j.Received)
			if j.Source.Size > 0 {
				done = fmt.Sprintf("%.0f %%", 100*min(float64(j.Received)/float64(j.Source.Size), 1))
			}
			took := j.Updated.Sub(j.Started).Seconds()
			switch {
			case now.Sub(j.Updated) > silent:
				waits = "its client"
			case took > 0 && j.Received > 0 && j.Source.Size > j.Received:
				left = console.Clock(took * float64(j.Source.Size-j.Received) / float64(j.Received))
			}
		}
		t.Rows = append(t.Rows, []any{id, j.Title, j.State, done, left, j.Chunks, j.Uploader, console.Ago(j.Started, now), waits})
	}
	return t
}
