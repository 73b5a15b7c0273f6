package disk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// sealedType is the bit of an entry's type on the disk that says that its data is a note of
// package sealed. The library never sees it.
const sealedType raft.LogType = 0x80

// SealEntries encrypts what entries say. Their index, term and time stay readable, and so do
// the term and the vote, as numbers and members' names. Without a key it is the store itself.
func SealEntries(s Store, key *sealed.Key) (Store, error) {
	if key == nil {
		return s, nil
	}
	box, err := sealed.NewBox(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt raft log: %w", err)
	}
	return &sealedEntries{s, box}, nil
}

type sealedEntries struct {
	Store
	box *sealed.Box
}

// place is what an entry's note is bound to.
func place(l *raft.Log) []byte {
	b := binary.BigEndian.AppendUint64(nil, l.Index)
	return append(binary.BigEndian.AppendUint64(b, l.Term), byte(l.Type&^sealedType))
}

// seal makes an entry as the disk has it; the caller's is read by others.
func (s *sealedEntries) seal(l *raft.Log) *raft.Log {
	out := *l
	out.Data, out.Type = s.box.Seal(l.Data, place(l)), l.Type|sealedType
	return &out
}

func (s *sealedEntries) StoreLog(l *raft.Log) error { return s.Store.StoreLog(s.seal(l)) }

func (s *sealedEntries) StoreLogs(ls []*raft.Log) error {
	out := make([]*raft.Log, len(ls))
	for i, l := range ls {
		out[i] = s.seal(l)
	}
	return s.Store.StoreLogs(out)
}

func (s *sealedEntries) GetLog(index uint64, l *raft.Log) error {
	if err := s.Store.GetLog(index, l); err != nil {
		return err
	}
	return OpenEntry(s.box, l)
}

// IsSealed says whether an entry is as the disk of an encrypted directory has it.
func IsSealed(l *raft.Log) bool { return l.Type&sealedType != 0 }

// OpenEntry decrypts one in place. One that is not encrypted is none of this directory's.
func OpenEntry(box *sealed.Box, l *raft.Log) error {
	if !IsSealed(l) {
		return fmt.Errorf("entry %d of an encrypted raft log: %w: it is not encrypted", l.Index, vstack.ErrCorrupt)
	}
	plain, err := box.Open(l.Data, place(l))
	if err != nil {
		return fmt.Errorf("entry %d of an encrypted raft log: %w", l.Index, err)
	}
	l.Data, l.Type = plain, l.Type&^sealedType
	return nil
}

// sealedSink encrypts a snapshot on its way to the disk.
type sealedSink struct {
	raft.SnapshotSink
	stream *sealed.Writer
}

func sealSink(sink raft.SnapshotSink, key *sealed.Key) (raft.SnapshotSink, error) {
	w, err := sealed.NewWriter(sink, key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("encrypt raft snapshot: %w", err), sink.Cancel())
	}
	return &sealedSink{sink, w}, nil
}

func (s *sealedSink) Write(b []byte) (int, error) { return s.stream.Write(b) }

func (s *sealedSink) Close() error {
	if err := s.stream.Close(); err != nil {
		return errors.Join(err, s.SnapshotSink.Cancel())
	}
	return s.SnapshotSink.Close()
}

// open opens a snapshot as it was before it was encrypted.
func (p *Snapshots) open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, file, err := p.FileSnapshotStore.Open(id)
	if err != nil || p.key == nil {
		return meta, file, err
	}
	r, err := sealed.NewReader(file, p.key)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open raft snapshot %s: %w", id, err), file.Close())
	}
	plain := *meta
	plain.Size = sealed.PlainSize(meta.Size)
	return &plain, struct {
		io.Reader
		io.Closer
	}{r, file}, nil
}

// envelope is the file that says whose an encrypted directory is, around what it says. A
// program that knows no encryption reads it as that of a member of another name, and
// refuses it with that name.
type envelope struct {
	ID       string          `json:"id"`
	Instance string          `json:"instance"`
	Raft     string          `json:"raft"` // as in Member: who moves a host reads them here
	API      string          `json:"api,omitempty"`
	Member   json.RawMessage `json:"encrypted,omitempty"`
}

const foreign = "encrypted, for a newer version of this program"

// maxOrigin bounds the file, in bytes.
const maxOrigin = 1 << 20

// ReadOrigin reads the file that says whose the directory is, and holds it to whether there
// is a key.
func ReadOrigin(path string, key *sealed.Key) ([]byte, error) {
	b, err := vfs.ReadFile(vfs.OS{}, path, maxOrigin)
	if err != nil {
		return nil, err
	}
	var e envelope
	if json.Unmarshal(b, &e) != nil { // the caller says what is wrong with it
		return b, nil
	}
	switch {
	case len(e.Member) > 0 && key == nil:
		return nil, fmt.Errorf("%s says that the directory is encrypted: %w", path, vstack.ErrKeyMissing)
	case len(e.Member) > 0:
		return e.Member, nil
	case key != nil:
		return nil, fmt.Errorf("%s says that the directory is not encrypted, and there is a key: %w: move the key away", path, vstack.ErrInvalid)
	}
	return b, nil
}

// WriteOrigin replaces that file durably.
func WriteOrigin(path string, b []byte, key *sealed.Key) error {
	if key != nil {
		e := envelope{}
		err := json.Unmarshal(b, &e)
		if err == nil {
			e.ID, e.Member = foreign, b
			b, err = json.MarshalIndent(e, "", "  ")
		}
		if err != nil {
			return fmt.Errorf("encode raft origin: %w", err)
		}
	}
	if err := vfs.WriteFile(vfs.OS{}, path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write raft origin: %w", err)
	}
	return nil
}
