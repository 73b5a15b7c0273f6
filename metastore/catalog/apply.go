package catalog

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// application is one write transaction over a batch of commands.
type application struct {
	txn      *memdb.Txn
	blobs    keeper // of manifests
	meta     rows.Meta
	requests map[string]*rows.Request // those of meta.Answers
	orphan   func(d blobs.Digest, index uint64)
	read     func(d blobs.Digest) (*vstack.Manifest, error)
	err      error // the first error of the tables, which is fatal

	// Of the command at hand.
	index uint64
	time  time.Time
	by    string // who asked for it
	noted int    // events
}

// keeper keeps manifests: the catalog's store, or one that a snapshot is being restored to.
type keeper interface {
	Put(d blobs.Digest, blob []byte) error
}

func (c *Catalog) begin(txn *memdb.Txn) (*application, error) {
	m := rows.Get[*rows.Meta](txn, rows.TableMeta, []byte{1})
	if m == nil {
		return nil, fmt.Errorf("catalog has no meta row: %w", vstack.ErrInternal)
	}
	return &application{txn: txn, blobs: c.blobs, orphan: c.blobs.Orphan, read: c.manifest, meta: *m, requests: c.requests}, nil
}

func (a *application) finish() error {
	if a.err != nil {
		return a.err
	}
	m := a.meta
	if err := a.txn.Insert(rows.TableMeta, &m); err != nil {
		return fmt.Errorf("write the meta row: %w", err)
	}
	return nil
}

// apply runs one command. Its error is fatal; a refusal is in the Result.
func (a *application) apply(cmd command.Command, index uint64) (*command.Result, error) {
	a.index, a.time, a.by, a.noted = index, cmd.Time, cmd.By, 0
	if index <= a.meta.Applied {
		return nil, fmt.Errorf("entry is not after the applied %d: %w", a.meta.Applied, vstack.ErrInternal)
	}
	a.meta.Applied = index
	if first := a.answered(cmd.RequestID); first != nil {
		return a.repeat(first, cmd), nil
	}
	res := &command.Result{Index: index}
	refused, err := a.run(cmd, res)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		res = &command.Result{Index: index, Code: vstack.SentinelOf(refused).Code(), Detail: refused.Error()}
	}
	if cmd.RequestID != "" {
		a.remember(&rows.Request{ID: cmd.RequestID, Type: cmd.Type, Result: *res})
	}
	return res, a.err
}

// run dispatches. refused is the command's own failure; err is fatal.
func (a *application) run(cmd command.Command, res *command.Result) (refused, err error) {
	switch cmd.Type {
	case command.OpenUpload:
		return handle(cmd, res, a.openUpload)
	case command.ResumeUpload:
		return handle(cmd, res, a.resumeUpload)
	case command.Publish:
		return handle(cmd, res, a.publish)
	case command.AbortUpload:
		return handle(cmd, res, a.abortUpload)
	case command.DeleteVideo:
		return handle(cmd, res, a.deleteVideo)
	case command.PatchVideo:
		return handle(cmd, res, a.patchVideo)
	case command.SetPolicy:
		return handle(cmd, res, a.setPolicy)
	case command.AddViews:
		return handle(cmd, res, a.addViews)
	case command.RegisterStores:
		return handle(cmd, res, a.registerStores)
	case command.SetLiveness:
		return handle(cmd, res, a.setLiveness)
	case command.AssignPlacement:
		return handle(cmd, res, a.assignPlacement)
	case command.SetLeaving:
		return handle(cmd, res, a.setLeaving)
	case command.PrepareEpochs:
		return handle(cmd, res, a.prepareEpochs)
	case command.ActivateEpochs:
		return handle(cmd, res, a.activateEpochs)
	case command.StepClass:
		return handle(cmd, res, a.stepClass)
	case command.OrderStores:
		return handle(cmd, res, a.orderStores)
	case command.SetBalance:
		return handle(cmd, res, a.setBalance)
	case command.SetRedundancy:
		return handle(cmd, res, a.setRedundancy)
	case command.AgeViews:
		return handle(cmd, res, a.ageViews)
	case command.ChangeTickets:
		return handle(cmd, res, a.changeTickets)
	case command.AcceptLoss:
		return handle(cmd, res, a.acceptLoss)
	case command.ChangeRevocations:
		return handle(cmd, res, a.changeRevocations)
	case command.ChangeTokenKeys:
		return handle(cmd, res, a.changeTokenKeys)
	case command.ChangeAPIKeys:
		return handle(cmd, res, a.changeAPIKeys)
	case command.RaiseLevel:
		p, err := command.PayloadOf[command.RaiseLevelPayload](cmd)
		if err != nil {
			return nil, err
		}
		return nil, a.raise(p.Level)
	}
	return nil, fmt.Errorf("unknown command %q: %w: this member is older than the log", cmd.Type, vstack.ErrInvalid)
}

func handle[P any](cmd command.Command, res *command.Result, f func(P, *command.Result) error) (refused, err error) {
	p, err := command.PayloadOf[P](cmd)
	if err != nil {
		return nil, err
	}
	return f(p, res), nil
}

// put seals and inserts a row in place of the one with its key, if any.
func (a *application) put(r rows.Row) {
	if a.err != nil {
		return
	}
	r, err := a.seal(r)
	if err != nil {
		a.err = err
		return
	}
	old, err := a.txn.First(r.Table(), rows.ByID, r.Key())
	if err != nil {
		a.err = fmt.Errorf("read %s: %w", r.Table(), err)
		return
	}
	if old != nil {
		a.meta.Sum = a.meta.Sum.Minus(old.(rows.Row).Checksum())
	}
	a.meta.Sum = a.meta.Sum.Plus(r.Checksum())
	if err := a.txn.Insert(r.Table(), r); err != nil {
		a.err = fmt.Errorf("write %s: %w", r.Table(), err)
	}
}

// seal computes a row's checksum, once a video that has a manifest has parted with it.
func (a *application) seal(r rows.Row) (rows.Row, error) {
	if v, ok := r.(*rows.Video); ok && v.Manifest != nil {
		blob, err := v.Part()
		if err != nil {
			return nil, err
		}
		if err := a.blobs.Put(v.ManifestDigest(), blob); err != nil {
			return nil, err
		}
	}
	return rows.Seal(r)
}

// putVideo and putUpload mark the row as changed here, for the feed.
func (a *application) putVideo(r rows.Video) *rows.Video {
	r.Video.Index = a.index
	a.meta.Feed = a.index
	a.put(&r)
	return &r
}

func (a *application) putUpload(r rows.Upload) *rows.Upload {
	r.Changed = a.index
	a.meta.Feed = a.index
	a.put(&r)
	return &r
}

func (a *application) video(id vstack.VideoID) *rows.Video {
	return rows.Get[*rows.Video](a.txn, rows.TableVideos, id[:])
}

func (a *application) upload(id vstack.UploadID) *rows.Upload {
	return rows.Get[*rows.Upload](a.txn, rows.TableUploads, id[:])
}
