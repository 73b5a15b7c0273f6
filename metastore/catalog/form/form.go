package form

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/frame"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// Magic begins a snapshot.
const Magic = "VSTKCAT\x01"

// MaxFrame bounds one row of a snapshot; the largest is a video with its manifest.
const MaxFrame = command.MaxCommand + 1<<20

// Kinds of frames.
const (
	Meta      frame.Kind = 'm'
	Groups    frame.Kind = 'g'
	Store     frame.Kind = 's'
	Video     frame.Kind = 'v'
	Published frame.Kind = 'p' // a video with its manifest; see rows.Splice
	Parted    frame.Kind = 'd' // a video without it, from vstack.LevelManifests on; see rows.AppendParted
	Upload    frame.Kind = 'u'
	Views     frame.Kind = 'w'
	Request   frame.Kind = 'r'
	Event     frame.Kind = 'n' // from vstack.LevelPolicy on
	End       frame.Kind = 'e'
)

const buffer = 1 << 20

// Begin reads the magic, and answers what the frames are read from.
func Begin(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, buffer)
	magic := make([]byte, len(Magic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != Magic {
		return nil, fmt.Errorf("header %q: %w: want %q (%v)", magic, vstack.ErrCorrupt, Magic, err)
	}
	return in, nil
}

// each calls f for the frames of a snapshot, the trailer included.
func each(r io.Reader, f func(kind frame.Kind, payload []byte) error) error {
	in, err := Begin(r)
	if err != nil {
		return err
	}
	for {
		kind, payload, err := frame.Read(in, MaxFrame)
		if err == nil {
			err = f(kind, payload)
		}
		if err != nil || kind == End {
			return err
		}
	}
}

// Named calls yield for each manifest that a snapshot names and does not bring.
func Named(r io.Reader, yield func(d blobs.Digest, size uint32) error) error {
	return each(r, func(kind frame.Kind, payload []byte) error {
		if kind != Parted {
			return nil
		}
		p, err := rows.ParseParted(payload)
		if err != nil {
			return err
		}
		return yield(p.Digest, p.Size)
	})
}

// Whole reads a snapshot with the manifests that it names from the store, and says how many
// bytes that is. open opens the snapshot: once to count, and once to be read. Close the result;
// until then nothing of the store is dropped.
func Whole(store *blobs.Store, open func() (io.ReadCloser, error)) (io.ReadCloser, int64, error) {
	release := store.Hold()
	size := int64(len(Magic))
	from, err := open()
	if err == nil {
		err = errors.Join(each(from, func(kind frame.Kind, payload []byte) error {
			n := int64(len(payload))
			if kind == Parted {
				p, err := rows.ParseParted(payload)
				if err != nil {
					return err
				}
				n = p.WholeSize()
			}
			size += frame.HeaderLen + n
			return nil
		}), from.Close())
	}
	if err == nil {
		from, err = open()
	}
	if err != nil {
		release()
		return nil, 0, fmt.Errorf("read a snapshot as a whole: %w", err)
	}
	w := &whole{store: store, file: from, release: release, left: size}
	if w.in, err = Begin(from); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("read a snapshot as a whole: %w", err), w.Close())
	}
	w.ready = append(w.ready, Magic...)
	return w, size, nil
}

// whole is read by one goroutine.
type whole struct {
	store   *blobs.Store
	file    io.Closer
	in      *bufio.Reader
	release func()

	ready, spliced []byte // ready to be read; room to splice a frame in
	at             int    // of ready
	left           int64  // to be answered
	ended          bool
}

// Read is io.Reader.
func (w *whole) Read(p []byte) (int, error) {
	for w.at == len(w.ready) {
		if w.ended && w.left == 0 {
			return 0, io.EOF
		}
		if err := w.next(); err != nil {
			return 0, fmt.Errorf("read a snapshot as a whole: %w", err)
		}
	}
	n := copy(p, w.ready[w.at:])
	w.at += n
	w.left -= int64(n)
	return n, nil
}

// next makes the next frame ready.
func (w *whole) next() error {
	if w.ended {
		return fmt.Errorf("%w: it is %d bytes shorter than was counted", vstack.ErrCorrupt, w.left)
	}
	kind, payload, err := frame.Read(w.in, MaxFrame)
	if err != nil {
		return err
	}
	w.ended = kind == End
	if kind == Parted {
		p, err := rows.ParseParted(payload)
		if err != nil {
			return err
		}
		blob, err := w.store.Get(p.Digest)
		if err != nil {
			return err
		}
		if w.spliced, err = rows.Splice(w.spliced[:0], p.Row, blob); err != nil {
			return err
		}
		kind, payload = Published, w.spliced
	}
	w.ready, w.at = frame.Append(w.ready[:0], kind, payload), 0
	if int64(len(w.ready)) > w.left {
		return fmt.Errorf("%w: it is longer than was counted", vstack.ErrCorrupt)
	}
	return nil
}

// Close is io.Closer.
func (w *whole) Close() error {
	w.release()
	return w.file.Close()
}
