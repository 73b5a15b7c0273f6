package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
)

const (
	magic     = "VSTKBAK\x01"
	version   = 1
	maxHeader = 64 << 10
	// MaxSize bounds a backup that is restored: the catalog lives in memory.
	MaxSize = 16 << 30
)

// Header says what a backup is.
type Header struct {
	Version int              `json:"version"`
	Cluster vstack.ClusterID `json:"cluster"` // zero before the first placement
	Index   uint64           `json:"index"`   // of the last command in it
	Term    uint64           `json:"term"`    // of the member that saved it
	Node    string           `json:"node"`    // that member
	// Leader says that this member led: no write that was acknowledged before is missing.
	Leader   bool           `json:"leader"`
	Time     time.Time      `json:"time"`
	Checksum string         `json:"checksum"` // of the catalog
	Restored uint64         `json:"restored,omitempty"`
	Counts   catalog.Counts `json:"counts"`
}

// Origin is who saves a backup, and when.
type Origin struct {
	Node   string
	Term   uint64
	Leader bool
	Time   time.Time
}

// Write saves a view.
func Write(w io.Writer, v *catalog.View, from Origin) error {
	sum, err := v.Checksum()
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	head, err := json.Marshal(Header{Version: version, Cluster: v.Cluster(), Index: v.Applied(), Term: from.Term, Node: from.Node,
		Leader: from.Leader, Time: from.Time.UTC(), Checksum: sum, Restored: v.Restored(), Counts: v.Counts()})
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	h := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, h), 1<<20)
	fixed := make([]byte, 8)
	binary.LittleEndian.PutUint32(fixed, uint32(len(head)))
	binary.LittleEndian.PutUint32(fixed[4:], headerCRC(head))
	for _, part := range [][]byte{[]byte(magic), fixed, head} {
		if _, err := out.Write(part); err != nil {
			return fmt.Errorf("write backup: %w", err)
		}
	}
	if err := v.Write(out); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	if _, err := w.Write(h.Sum(nil)); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}

// Info is what reading a whole backup found.
type Info struct {
	Header
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // that the file ends with
}

// Inspect reads a backup to its end and holds it to all of its checksums.
func Inspect(r io.Reader) (Info, error) {
	info, view, err := read(r, func(_ Header, in io.Reader) (*catalog.View, error) { return catalog.ReadSnapshot(in) })
	if err != nil {
		return info, err
	}
	sum, err := view.Checksum()
	if err != nil {
		return info, fmt.Errorf("read backup: %w", err)
	}
	if sum != info.Checksum || view.Applied() != info.Index || view.Cluster() != info.Cluster || view.Counts() != info.Counts {
		return info, invalid("the header is of another catalog: index %d with checksum %.16s, it holds %d with %.16s", info.Index, info.Checksum, view.Applied(), sum)
	}
	return info, nil
}

// rebaseIndex is where a catalog goes on that is restored at index applied into a cluster
// at index current. Nobody knows how far the history went that is lost: 2^32 entries
// after the backup, and 2^20 for each second until now, are taken as its bound, so that
// a second restore of one backup does not repeat the numbers of the first either.
func rebaseIndex(applied, current uint64, now time.Time) uint64 {
	return max(max(applied, current)+1<<32, uint64(now.Unix())<<20)
}

// Rebase reads a backup to its end, as Inspect does, and makes the catalog that goes on
// from it in a cluster at index current and feature level floor; see catalog.Rebase.
func Rebase(r io.Reader, current uint64, floor vstack.Level, now time.Time) (Info, *catalog.View, error) {
	return read(r, func(h Header, in io.Reader) (*catalog.View, error) {
		return catalog.Rebase(in, rebaseIndex(h.Index, current, now), floor, now)
	})
}

func read(r io.Reader, load func(Header, io.Reader) (*catalog.View, error)) (Info, *catalog.View, error) {
	t := &tail{r: bufio.NewReaderSize(r, 1<<20), hash: sha256.New()}
	head, err := readHeader(t)
	info := Info{Header: head}
	if err != nil {
		return info, nil, err
	}
	view, err := load(head, t)
	if t.err != nil && !errors.Is(t.err, io.EOF) {
		return info, nil, fmt.Errorf("read backup: %w", t.err) // the transport's, not the file's
	}
	if err != nil {
		return info, nil, invalid("%v", err)
	}
	if got := t.hash.Sum(nil); !bytes.Equal(got, t.held) {
		return info, nil, invalid("it ends with SHA-256 %.16x, its bytes have %.16x", t.held, got)
	}
	info.Size, info.SHA256 = t.size, hex.EncodeToString(t.held)
	return info, view, nil
}

func readHeader(r io.Reader) (Header, error) {
	var h Header
	fixed := make([]byte, len(magic)+8)
	if _, err := io.ReadFull(r, fixed); err != nil {
		return h, invalid("it is cut off in its first %d bytes (%v)", len(fixed), err)
	}
	if string(fixed[:len(magic)]) != magic {
		return h, invalid("it begins with %q, want %q", fixed[:len(magic)], magic)
	}
	n := binary.LittleEndian.Uint32(fixed[len(magic):])
	if n > maxHeader {
		return h, invalid("header of %d bytes, at most %d", n, maxHeader)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return h, invalid("it is cut off in its header (%v)", err)
	}
	if got, want := headerCRC(b), binary.LittleEndian.Uint32(fixed[len(magic)+4:]); got != want {
		return h, invalid("header CRC %08x, want %08x", got, want)
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, invalid("header: %v", err)
	}
	if h.Version != version {
		return h, invalid("version %d, this program knows %d", h.Version, version)
	}
	return h, nil
}

func headerCRC(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func invalid(format string, args ...any) error {
	return fmt.Errorf("backup: %w: %s", vstack.ErrBackupInvalid, fmt.Sprintf(format, args...))
}

// tail reads all but the last 32 bytes of r, which it keeps, and hashes what it reads.
type tail struct {
	r    *bufio.Reader
	hash hash.Hash
	held []byte // the last 32 bytes seen so far
	size int64
	err  error // of r
}

func (t *tail) Read(p []byte) (int, error) {
	for len(t.held) < sha256.Size {
		b, err := t.r.ReadByte()
		if err != nil {
			t.err = err
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		t.held = append(t.held, b)
		t.size++
	}
	n, err := t.r.Read(p)
	t.size += int64(n)
	if n == 0 {
		t.err = err
		return 0, err
	}
	// What was held comes before what was read: of both, the last 32 stay.
	all := append(t.held, p[:n]...)
	copy(p, all[:n])
	t.held = append([]byte(nil), all[n:]...)
	t.hash.Write(p[:n])
	return n, nil
}

// May refuses to write over videos, and over a placement of other stores.
func May(now *catalog.View, cluster vstack.ClusterID) error {
	if !now.Empty() {
		return fmt.Errorf("restore a backup: %w: the catalog holds %d videos, and only an empty one is restored into", vstack.ErrAlreadyExists, now.Counts().Videos)
	}
	if of := now.Cluster(); !cluster.IsZero() && !of.IsZero() && of != cluster {
		return fmt.Errorf("restore a backup: %w: stores that are new have made cluster %s here, the backup is of %s; restore before new stores start", vstack.ErrAlreadyExists, of, cluster)
	}
	return nil
}
