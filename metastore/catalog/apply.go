package catalog

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/internal/vstack"
)

// application is one write transaction over a batch of commands.
type application struct {
	txn      *memdb.Txn
	meta     metaRow
	requests map[string]*requestRow // those of meta.Answers
	err      error                  // the first error of the tables, which is fatal

	// Of the command at hand.
	index uint64
	time  time.Time
}

func begin(txn *memdb.Txn, requests map[string]*requestRow) (*application, error) {
	m := get[*metaRow](txn, tableMeta, []byte{1})
	if m == nil {
		return nil, fmt.Errorf("catalog has no meta row: %w", vstack.ErrInternal)
	}
	return &application{txn: txn, meta: *m, requests: requests}, nil
}

func (a *application) finish() error {
	if a.err != nil {
		return a.err
	}
	m := a.meta
	if err := a.txn.Insert(tableMeta, &m); err != nil {
		return fmt.Errorf("write the meta row: %w", err)
	}
	return nil
}

// apply runs one command. Its error is fatal; a refusal is in the Result.
func (a *application) apply(cmd Command, index uint64) (*Result, error) {
	a.index, a.time = index, cmd.Time
	if index <= a.meta.Applied {
		return nil, fmt.Errorf("entry is not after the applied %d: %w", a.meta.Applied, vstack.ErrInternal)
	}
	a.meta.Applied = index
	if first := a.answered(cmd.RequestID); first != nil {
		return a.repeat(first, cmd), nil
	}
	res := &Result{Index: index}
	refused, err := a.run(cmd, res)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		res = &Result{Index: index, Code: vstack.SentinelOf(refused).Code(), Detail: refused.Error()}
	}
	if cmd.RequestID != "" {
		a.remember(&requestRow{ID: cmd.RequestID, Type: cmd.Type, Result: *res})
	}
	return res, a.err
}

// run dispatches. refused is the command's own failure; err is fatal.
func (a *application) run(cmd Command, res *Result) (refused, err error) {
	switch cmd.Type {
	case OpenUpload:
		return handle(cmd, res, a.openUpload)
	case ResumeUpload:
		return handle(cmd, res, a.resumeUpload)
	case Publish:
		return handle(cmd, res, a.publish)
	case AbortUpload:
		return handle(cmd, res, a.abortUpload)
	case DeleteVideo:
		return handle(cmd, res, a.deleteVideo)
	case PatchVideo:
		return handle(cmd, res, a.patchVideo)
	case SetPolicy:
		return handle(cmd, res, a.setPolicy)
	case AddViews:
		return handle(cmd, res, a.addViews)
	case RegisterStores:
		return handle(cmd, res, a.registerStores)
	case SetLiveness:
		return handle(cmd, res, a.setLiveness)
	case AssignPlacement:
		return handle(cmd, res, a.assignPlacement)
	case SetLeaving:
		return handle(cmd, res, a.setLeaving)
	case PrepareEpochs:
		return handle(cmd, res, a.prepareEpochs)
	case ActivateEpochs:
		return handle(cmd, res, a.activateEpochs)
	}
	return nil, fmt.Errorf("unknown command %q: %w: this member is older than the log", cmd.Type, vstack.ErrInvalid)
}

func handle[P any](cmd Command, res *Result, f func(P, *Result) error) (refused, err error) {
	p, err := payloadOf[P](cmd)
	if err != nil {
		return nil, err
	}
	return f(p, res), nil
}

// put seals and inserts a row in place of the one with its key, if any.
func (a *application) put(r row) {
	if a.err != nil {
		return
	}
	r, err := seal(r)
	if err != nil {
		a.err = err
		return
	}
	old, err := a.txn.First(r.table(), byID, r.key())
	if err != nil {
		a.err = fmt.Errorf("read %s: %w", r.table(), err)
		return
	}
	if old != nil {
		a.meta.Sum = a.meta.Sum.minus(old.(row).checksum())
	}
	a.meta.Sum = a.meta.Sum.plus(r.checksum())
	if err := a.txn.Insert(r.table(), r); err != nil {
		a.err = fmt.Errorf("write %s: %w", r.table(), err)
	}
}

// putVideo and putUpload mark the row as changed here, for the feed.
func (a *application) putVideo(r videoRow) *videoRow {
	r.Video.Index = a.index
	a.meta.Feed = a.index
	a.put(&r)
	return &r
}

func (a *application) putUpload(r uploadRow) *uploadRow {
	r.Changed = a.index
	a.meta.Feed = a.index
	a.put(&r)
	return &r
}

func (a *application) video(id vstack.VideoID) *videoRow {
	return get[*videoRow](a.txn, tableVideos, id[:])
}

func (a *application) upload(id vstack.UploadID) *uploadRow {
	return get[*uploadRow](a.txn, tableUploads, id[:])
}

// withViews is the video as readers see it.
func withViews(txn *memdb.Txn, r *videoRow) vstack.Video {
	v := r.Video
	if w := get[*viewsRow](txn, tableViews, r.key()); w != nil {
		v.Views = w.Count
	}
	return v
}
