package uploader

import (
	"context"
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/early"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
	"github.com/vstack/vstack/uploader/progress"
)

// cutVersion changes whenever this program cuts a file otherwise than before; with
// FFmpeg's version it names what cut a job's chunks.
const cutVersion = 4

// Causes with which a job's context ends.
var (
	errCanceledByClient = fmt.Errorf("%w by a client", vstack.ErrCanceled)
	errStopping         = errors.New("the uploader stops")
	errReplaced         = errors.New("the file was sent anew")
)

// job is the work on one upload.
type job struct {
	*progress.Progress
	id     vstack.UploadID
	broken error           // why its state does not read; such a job only waits, see mend
	ctx    context.Context // set by startJob
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when its goroutine has ended

	early *early.Cut[*job] // that has begun while the file arrived; nil for none
	media *media.Media     // as probed when the file arrived; nil after a restart
	asked context.Context  // of the request that brought the file, for its trace alone; nil after a restart
}

func newJob(rec progress.Record) *job {
	return &job{Progress: progress.New(rec), id: rec.Upload.ID, over: make(chan struct{}), cancel: func(error) {}}
}
