package catalog

import (
	"bufio"
	"fmt"
	"io"

	"github.com/hashicorp/go-memdb"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/frame"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

const (
	snapshotMagic = "VSTKCAT\x01"
	// maxFrame bounds one row of a snapshot; the largest is a video with its manifest.
	maxFrame = command.MaxCommand + 1<<20
)

const (
	frameMeta      frame.Kind = 'm'
	frameGroups    frame.Kind = 'g'
	frameStore     frame.Kind = 's'
	frameVideo     frame.Kind = 'v'
	framePublished frame.Kind = 'p' // a video with its manifest; see published.go
	frameUpload    frame.Kind = 'u'
	frameViews     frame.Kind = 'w'
	frameRequest   frame.Kind = 'r'
	frameEvent     frame.Kind = 'n' // from vstack.LevelPolicy on
	frameEnd       frame.Kind = 'e'
)

// end is the trailer.
type end struct {
	Frames   uint64 `json:"frames"`
	Checksum string `json:"checksum"`
}

// snapshot is a view on its way to disk; the catalog goes on meanwhile.
type snapshot struct{ view *View }

// Snapshot captures the state; it costs nothing.
func (c *Catalog) Snapshot() (raft.FSMSnapshot, error) {
	if c.halted != nil {
		return nil, fmt.Errorf("snapshot of a halted catalog: %w", c.halted)
	}
	return &snapshot{c.View()}, nil
}

func (s *snapshot) Release() {}

// Persist writes the snapshot and closes the sink.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	err := s.view.Write(sink)
	if err != nil {
		return fmt.Errorf("write catalog snapshot: %w (sink: %v)", err, sink.Cancel())
	}
	return sink.Close()
}

// Write writes the view in the snapshot format.
func (v *View) Write(w io.Writer) error {
	out := frame.NewWriter(w, snapshotMagic, maxFrame)
	var buf []byte // of the row that is being encoded
	out.JSON(frameMeta, v.meta)
	rows.Each(v.txn, rows.TableGroups, rows.ByID, func(r *rows.Groups) { out.JSON(frameGroups, r) })
	rows.Each(v.txn, rows.TableStores, rows.ByID, func(r *rows.Store) { out.JSON(frameStore, r) })
	rows.Each(v.txn, rows.TableVideos, rows.ByID, func(r *rows.Video) {
		if r.Manifest == nil {
			out.JSON(frameVideo, r)
			return
		}
		var err error
		buf, err = rows.AppendPublished(buf[:0], r)
		out.Write(framePublished, buf, err)
	})
	rows.Each(v.txn, rows.TableUploads, rows.ByID, func(r *rows.Upload) { out.JSON(frameUpload, r) })
	rows.Each(v.txn, rows.TableViews, rows.ByID, func(r *rows.Views) { out.JSON(frameViews, r) })
	rows.Each(v.txn, rows.TableEvents, rows.ByID, func(r *rows.Event) { out.JSON(frameEvent, r) })
	for _, r := range v.meta.Answers {
		out.JSON(frameRequest, r)
	}
	sum, err := v.Checksum()
	if err != nil {
		return err
	}
	out.JSON(frameEnd, end{Frames: out.Frames(), Checksum: sum})
	return out.Flush()
}

// Restore replaces everything by a snapshot. On an error the catalog is as before.
func (c *Catalog) Restore(r io.ReadCloser) error {
	defer r.Close()
	db, app, err := read(r)
	if err != nil {
		return fmt.Errorf("restore catalog snapshot: %w", err)
	}
	c.db.Store(db)
	c.requests = app.requests
	c.broadcast()
	c.metrics.State(app.meta.Counts())
	return nil
}

// read builds tables from a snapshot and holds them to its checksum.
func read(r io.Reader) (*memdb.MemDB, *application, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != snapshotMagic {
		return nil, nil, fmt.Errorf("header %q: %w: want %q (%v)", magic, vstack.ErrCorrupt, snapshotMagic, err)
	}
	db, err := rows.NewDB()
	if err != nil {
		return nil, nil, err
	}
	txn := db.Txn(true)
	defer txn.Abort()
	l := &loader{txn: txn, app: &application{txn: txn, requests: map[string]*rows.Request{}}}
	for {
		kind, payload, err := frame.Read(in, maxFrame)
		if err != nil {
			return nil, nil, fmt.Errorf("frame %d: %w", l.frames, err)
		}
		if kind == frameEnd {
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
	frames uint64
}

func (l *loader) load(kind frame.Kind, payload []byte) error {
	if kind == frameMeta {
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
	case frameGroups:
		r = &rows.Groups{}
	case frameStore:
		r = &rows.Store{}
	case frameVideo:
		r = &rows.Video{}
	case frameUpload:
		r = &rows.Upload{}
	case frameViews:
		r = &rows.Views{}
	case frameEvent:
		r = &rows.Event{}
	case framePublished:
		r, err := rows.DecodePublished(payload)
		if err != nil {
			return err
		}
		l.app.put(r)
		return l.app.err
	case frameRequest:
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
