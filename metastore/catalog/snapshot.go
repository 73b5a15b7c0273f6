package catalog

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hashicorp/go-memdb"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	snapshotMagic = "VSTKCAT\x01"
	// maxFrame bounds one row of a snapshot; the largest is a video with its manifest.
	maxFrame    = MaxCommand + 1<<20
	frameHeader = 9
)

type frameKind byte

const (
	frameMeta      frameKind = 'm'
	frameGroups    frameKind = 'g'
	frameStore     frameKind = 's'
	frameVideo     frameKind = 'v'
	framePublished frameKind = 'p' // a video with its manifest; see published.go
	frameUpload    frameKind = 'u'
	frameViews     frameKind = 'w'
	frameRequest   frameKind = 'r'
	frameEnd       frameKind = 'e'
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
	out := &frameWriter{w: bufio.NewWriterSize(w, 1<<20)}
	if _, err := out.w.WriteString(snapshotMagic); err != nil {
		return err
	}
	out.frame(frameMeta, v.meta)
	each(v.txn, tableGroups, byID, func(r *groupsRow) { out.frame(frameGroups, r) })
	each(v.txn, tableStores, byID, func(r *storeRow) { out.frame(frameStore, r) })
	each(v.txn, tableVideos, byID, func(r *videoRow) {
		if r.Manifest == nil {
			out.frame(frameVideo, r)
			return
		}
		var err error
		out.buf, err = appendPublished(out.buf[:0], r)
		out.write(framePublished, out.buf, err)
	})
	each(v.txn, tableUploads, byID, func(r *uploadRow) { out.frame(frameUpload, r) })
	each(v.txn, tableViews, byID, func(r *viewsRow) { out.frame(frameViews, r) })
	for _, r := range v.meta.Answers {
		out.frame(frameRequest, r)
	}
	sum, err := v.Checksum()
	if err != nil {
		return err
	}
	out.frame(frameEnd, end{Frames: out.frames, Checksum: sum})
	if out.err != nil {
		return out.err
	}
	return out.w.Flush()
}

type frameWriter struct {
	w      *bufio.Writer
	buf    []byte // of the row that is being encoded
	frames uint64
	err    error
}

func (f *frameWriter) frame(kind frameKind, v any) {
	if f.err != nil {
		return
	}
	payload, err := json.Marshal(v)
	f.write(kind, payload, err)
}

// write writes what was encoded, or keeps the error of that.
func (f *frameWriter) write(kind frameKind, payload []byte, err error) {
	if f.err != nil {
		return
	}
	if err != nil {
		f.err = fmt.Errorf("encode frame %c: %w", kind, err)
		return
	}
	if len(payload) > maxFrame {
		f.err = fmt.Errorf("encode frame %c: %w: %d bytes", kind, vstack.ErrTooLarge, len(payload))
		return
	}
	var h [frameHeader]byte
	binary.LittleEndian.PutUint32(h[0:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(h[4:], frameCRC(kind, payload))
	h[8] = byte(kind)
	if _, f.err = f.w.Write(h[:]); f.err == nil {
		_, f.err = f.w.Write(payload)
	}
	f.frames++
}

func frameCRC(kind frameKind, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once by the library
	return crc32.Update(crc32.Update(0, table, []byte{byte(kind)}), table, payload)
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
	c.metrics.state(app.meta)
	return nil
}

// read builds tables from a snapshot and holds them to its checksum.
func read(r io.Reader) (*memdb.MemDB, *application, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != snapshotMagic {
		return nil, nil, fmt.Errorf("header %q: %w: want %q (%v)", magic, vstack.ErrCorrupt, snapshotMagic, err)
	}
	db, err := newDB()
	if err != nil {
		return nil, nil, err
	}
	txn := db.Txn(true)
	defer txn.Abort()
	l := &loader{txn: txn, app: &application{txn: txn, requests: map[string]*requestRow{}}}
	for {
		kind, payload, err := readFrame(in)
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

func readFrame(in *bufio.Reader) (frameKind, []byte, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: header: %v", vstack.ErrCorrupt, err)
	}
	n, kind := binary.LittleEndian.Uint32(h[0:]), frameKind(h[8])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("%w: length %d, at most %d", vstack.ErrCorrupt, n, maxFrame)
	}
	// Grown as it is read, so that a false length allocates no more than there is.
	payload, err := io.ReadAll(io.LimitReader(in, int64(n)))
	if err != nil || uint32(len(payload)) != n {
		return 0, nil, fmt.Errorf("%w: payload of %d bytes, want %d (%v)", vstack.ErrCorrupt, len(payload), n, err)
	}
	if got, want := frameCRC(kind, payload), binary.LittleEndian.Uint32(h[4:]); got != want {
		return 0, nil, fmt.Errorf("%w: CRC %08x, want %08x", vstack.ErrCorrupt, got, want)
	}
	return kind, payload, nil
}

type loader struct {
	txn    *memdb.Txn
	app    *application // for put, which adds the checksums up
	frames uint64
}

func (l *loader) load(kind frameKind, payload []byte) error {
	if kind == frameMeta {
		if l.frames != 0 {
			return fmt.Errorf("%w: the meta row comes first", vstack.ErrCorrupt)
		}
		return strict(payload, &l.app.meta)
	}
	if l.frames == 0 {
		return fmt.Errorf("%w: the meta row comes first", vstack.ErrCorrupt)
	}
	var r row
	switch kind {
	case frameGroups:
		r = &groupsRow{}
	case frameStore:
		r = &storeRow{}
	case frameVideo:
		r = &videoRow{}
	case frameUpload:
		r = &uploadRow{}
	case frameViews:
		r = &viewsRow{}
	case framePublished:
		r, err := decodePublished(payload)
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
	if err := strict(payload, r); err != nil {
		return err
	}
	l.app.put(r)
	return l.app.err
}

// request adds a remembered answer; end puts them in order.
func (l *loader) request(payload []byte) error {
	r := &requestRow{}
	if err := strict(payload, r); err != nil {
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
	if err := strict(payload, &e); err != nil {
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
