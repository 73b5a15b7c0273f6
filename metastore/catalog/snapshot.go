package catalog

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/hashicorp/go-memdb"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/catalog/frame"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// end is the trailer.
type end struct {
	Frames   uint64 `json:"frames"`
	Checksum string `json:"checksum"`
}

// snapshot is a view on its way to disk; the catalog goes on meanwhile. What it names of the
// store stays there until Release.
type snapshot struct {
	c       *Catalog
	view    *View
	release func()
}

// Snapshot captures the state; it costs nothing.
func (c *Catalog) Snapshot() (raft.FSMSnapshot, error) {
	if c.halted != nil {
		return nil, fmt.Errorf("snapshot of a halted catalog: %w", c.halted)
	}
	return &snapshot{c: c, view: c.View(), release: c.blobs.Hold()}, nil
}

// Release is called once the snapshot stands, or never will. Now what no kept snapshot names goes.
func (s *snapshot) Release() {
	s.release()
	if s.c.cfg.Oldest == nil {
		return
	}
	if _, err := s.c.blobs.Drop(s.c.cfg.Oldest()); err != nil {
		s.c.cfg.Logger.Warn("manifests of deleted videos are not dropped yet", "err", err)
	}
}

// Persist writes the snapshot and closes the sink. From vstack.LevelManifests on the manifests
// stay where they are, and are on the disk before the snapshot that names them is.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	err := s.write(sink)
	if err != nil {
		return fmt.Errorf("write catalog snapshot: %w (sink: %v)", err, sink.Cancel())
	}
	return sink.Close()
}

func (s *snapshot) write(w io.Writer) error {
	if s.view.Level() < vstack.LevelManifests {
		return s.view.Write(w)
	}
	if err := s.view.blobs.Sync(); err != nil {
		return err
	}
	return s.view.write(w, func(out *frame.Writer, r *rows.Video, buf []byte) []byte {
		buf, err := rows.AppendParted(buf, r)
		out.Write(form.Parted, buf, err)
		return buf
	})
}

// Write writes the view as a snapshot with all of its manifests.
func (v *View) Write(w io.Writer) error {
	defer v.blobs.Hold()()
	return v.write(w, func(out *frame.Writer, r *rows.Video, buf []byte) []byte {
		row, err := json.Marshal(r)
		if err == nil {
			var blob []byte
			if blob, err = v.blob(r); err == nil {
				buf, err = rows.Splice(buf, row, blob)
			}
		}
		out.Write(form.Published, buf, err)
		return buf
	})
}

// write writes the view, and published videos in one form of two, for which there is a buffer.
func (v *View) write(w io.Writer, publish func(out *frame.Writer, r *rows.Video, buf []byte) []byte) error {
	out := frame.NewWriter(w, form.Magic, form.MaxFrame)
	var buf []byte // of the row that is being encoded
	out.JSON(form.Meta, v.meta)
	rows.Each(v.txn, rows.TableGroups, rows.ByID, func(r *rows.Groups) { out.JSON(form.Groups, r) })
	rows.Each(v.txn, rows.TableStores, rows.ByID, func(r *rows.Store) { out.JSON(form.Store, r) })
	rows.Each(v.txn, rows.TableVideos, rows.ByID, func(r *rows.Video) {
		if r.Published() {
			buf = publish(out, r, buf[:0])
			return
		}
		out.JSON(form.Video, r)
	})
	rows.Each(v.txn, rows.TableUploads, rows.ByID, func(r *rows.Upload) { out.JSON(form.Upload, r) })
	rows.Each(v.txn, rows.TableViews, rows.ByID, func(r *rows.Views) { out.JSON(form.Views, r) })
	rows.Each(v.txn, rows.TableEvents, rows.ByID, func(r *rows.Event) { out.JSON(form.Event, r) })
	for _, r := range v.meta.Answers {
		out.JSON(form.Request, r)
	}
	sum, err := v.Checksum()
	if err != nil {
		return err
	}
	out.JSON(form.End, end{Frames: out.Frames(), Checksum: sum})
	return out.Flush()
}

// Restore replaces everything by a snapshot. On an error the catalog is as before. What the
// snapshot brings of manifests is in the store then, and what it only names must have been.
func (c *Catalog) Restore(r io.ReadCloser) error {
	defer r.Close()
	to, err := c.blobs.Restore()
	if err != nil {
		return c.refuse(err)
	}
	defer to.End(false, 0)
	db, app, err := read(r, to)
	if err != nil {
		return c.refuse(err)
	}
	to.End(true, app.meta.Applied)
	c.db.Store(db)
	c.requests = app.requests
	c.broadcast()
	c.metrics.State(app.meta.Counts())
	return nil
}

// refuse remembers the first snapshot that could not be restored.
func (c *Catalog) refuse(err error) error {
	err = fmt.Errorf("restore catalog snapshot: %w", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = err
	}
	return err
}

// Refused is why a snapshot was not restored, nil if all were. Raft goes on to an older one, from
// which its log may not reach: whoever opens a member asks once Raft has begun, and goes no
// further.
func (c *Catalog) Refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// read builds tables from a snapshot and holds them to its checksum.
func read(r io.Reader, to *blobs.Restoration) (*memdb.MemDB, *application, error) {
	in, err := form.Begin(r)
	if err != nil {
		return nil, nil, err
	}
	db, err := rows.NewDB()
	if err != nil {
		return nil, nil, err
	}
	txn := db.Txn(true)
	defer txn.Abort()
	l := &loader{txn: txn, blobs: to, app: &application{txn: txn, blobs: to, requests: map[string]*rows.Request{}}}
	for {
		kind, payload, err := frame.Read(in, form.MaxFrame)
		if err != nil {
			return nil, nil, fmt.Errorf("frame %d: %w", l.frames, err)
		}
		if kind == form.End {
			if err := l.end(payload, in); err != nil {
				return nil, nil, err
			}
			txn.Commit()
			return db, l.app, nil
		}
		if err := l.load(kind, payload); err != nil {
			return nil, nil, fmt.Errorf("frame %d, kind %q: %w", l.frames, kind, err)
		}
		l.frames++
	}
}

type loader struct {
	txn    *memdb.Txn
	app    *application // for put, which adds the checksums up
	blobs  *blobs.Restoration
	frames uint64
}

func (l *loader) load(kind frame.Kind, payload []byte) error {
	if kind == form.Meta {
		if l.frames != 0 {
			return fmt.Errorf("%w: the meta row comes first", vstack.ErrCorrupt)
		}
		if err := command.Strict(payload, &l.app.meta); err != nil {
			return err
		}
		return known(l.app.meta.Level)
	}
	if l.frames == 0 {
		return fmt.Errorf("%w: the meta row comes first", vstack.ErrCorrupt)
	}
	var r rows.Row
	switch kind {
	case form.Groups:
		r = &rows.Groups{}
	case form.Store:
		r = &rows.Store{}
	case form.Video:
		r = &rows.Video{}
	case form.Upload:
		r = &rows.Upload{}
	case form.Views:
		r = &rows.Views{}
	case form.Event:
		r = &rows.Event{}
	case form.Published:
		r, err := rows.DecodePublished(payload)
		if err != nil {
			return err
		}
		l.app.put(r)
		return l.app.err
	case form.Parted:
		return l.parted(payload)
	case form.Request:
		return l.request(payload)
	default:
		return fmt.Errorf("%w: unknown kind", vstack.ErrCorrupt)
	}
	if err := command.Strict(payload, r); err != nil {
		return err
	}
	l.app.put(r)
	return l.app.err
}

// parted adds a video whose manifest has to be there already.
func (l *loader) parted(payload []byte) error {
	if l.app.meta.Level < vstack.LevelManifests {
		return fmt.Errorf("%w: a video without its manifest, at feature level %d", vstack.ErrCorrupt, l.app.meta.Level.OrFirst())
	}
	p, err := rows.ParseParted(payload)
	if err != nil {
		return err
	}
	r, err := p.Decode()
	if err == nil {
		err = l.blobs.Name(p.Digest, p.Size)
	}
	if err != nil {
		return err
	}
	l.app.put(r)
	return l.app.err
}

// request adds a remembered answer; end puts them in order.
func (l *loader) request(payload []byte) error {
	r := &rows.Request{}
	if err := command.Strict(payload, r); err != nil {
		return err
	}
	if len(l.app.meta.Answers) == MaxRequests {
		return fmt.Errorf("%w: more than %d requests", vstack.ErrCorrupt, MaxRequests)
	}
	want := l.app.meta.Requests
	l.app.remember(r)
	l.app.meta.Requests = want // what the snapshot says, for end to check
	return l.app.err
}

// end checks the trailer and that nothing follows it.
func (l *loader) end(payload []byte, in *bufio.Reader) error {
	var e end
	if err := command.Strict(payload, &e); err != nil {
		return fmt.Errorf("trailer: %w", err)
	}
	if e.Frames != l.frames {
		return fmt.Errorf("trailer: %w: %d frames, want %d", vstack.ErrCorrupt, l.frames, e.Frames)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return fmt.Errorf("trailer: %w: more data follows", vstack.ErrCorrupt)
	}
	if err := l.app.restoreRequests(l.app.meta.Requests); err != nil {
		return err
	}
	if err := l.app.finish(); err != nil {
		return err
	}
	v := &View{txn: l.txn, meta: &l.app.meta}
	sum, err := v.Checksum()
	if err != nil {
		return err
	}
	if sum != e.Checksum {
		return fmt.Errorf("trailer: %w: checksum %s, want %s", vstack.ErrCorrupt, sum, e.Checksum)
	}
	return nil
}
