package disk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

const title = "The Film That Nobody May Know Of"

// leaks are the files below dir that hold the title.
func leaks(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(title)) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func openBolt(t *testing.T, dir string) *raftboltdb.BoltStore {
	t.Helper()
	b, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEntriesAreEncrypted: by a key; without one they are found, so that the search is one.
func TestEntriesAreEncrypted(t *testing.T) {
	for _, key := range []*sealed.Key{nil, sealed.Passing()} {
		dir := t.TempDir()
		bolt := openBolt(t, dir)
		store, err := SealEntries(bolt, key)
		if err != nil {
			t.Fatal(err)
		}
		first := &raft.Log{Index: 1, Term: 2, Type: raft.LogCommand, Data: []byte(title)}
		if err := errors.Join(store.StoreLog(first), store.StoreLogs([]*raft.Log{
			{Index: 2, Term: 2, Type: raft.LogNoop}, {Index: 3, Term: 2, Type: raft.LogConfiguration, Data: []byte(title)}})); err != nil {
			t.Fatal(err)
		}
		if string(first.Data) != title || first.Type != raft.LogCommand {
			t.Error("the caller's entry was changed")
		}
		if err := bolt.Close(); err != nil {
			t.Fatal(err)
		}
		if found := leaks(t, dir); (len(found) > 0) != (key == nil) {
			t.Errorf("with key %v the title is in %v", key, found)
		}
		bolt = openBolt(t, dir)
		if store, err = SealEntries(bolt, key); err != nil { // of another process
			t.Fatal(err)
		}
		for i, want := range []raft.Log{{Type: raft.LogCommand, Data: []byte(title)}, {Type: raft.LogNoop}, {Type: raft.LogConfiguration, Data: []byte(title)}} {
			var l raft.Log
			if err := store.GetLog(uint64(i+1), &l); err != nil || l.Type != want.Type || !bytes.Equal(l.Data, want.Data) || l.Term != 2 {
				t.Errorf("entry %d: %+v, %v", i+1, l, err)
			}
		}
		var l raft.Log
		if err := store.GetLog(9, &l); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("one that there is not: %v", err)
		}
		if err := bolt.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnEntryIsBoundToItsPlace: moved, of another term, changed or plain, it is refused.
func TestAnEntryIsBoundToItsPlace(t *testing.T) {
	bolt := openBolt(t, t.TempDir())
	defer bolt.Close()
	store, err := SealEntries(bolt, sealed.Passing())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.StoreLog(&raft.Log{Index: 1, Term: 1, Data: []byte(title)}); err != nil {
		t.Fatal(err)
	}
	var raw raft.Log
	if err := bolt.GetLog(1, &raw); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*raft.Log){
		"in another place": func(l *raft.Log) { l.Index = 2 },
		"of another term":  func(l *raft.Log) { l.Term = 2 },
		"of another kind":  func(l *raft.Log) { l.Type |= raft.LogNoop },
		"a flipped bit":    func(l *raft.Log) { l.Data[len(l.Data)-1] ^= 1 },
		"cut off":          func(l *raft.Log) { l.Data = l.Data[:5] },
		"a plain one":      func(l *raft.Log) { l.Type, l.Data = raft.LogCommand, []byte("{}") },
	} {
		bad := raw
		bad.Data = bytes.Clone(raw.Data)
		change(&bad)
		if err := bolt.StoreLog(&bad); err != nil {
			t.Fatal(err)
		}
		var l raft.Log
		if err := store.GetLog(bad.Index, &l); !errors.Is(err, vstack.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSnapshotsAreEncrypted(t *testing.T) {
	_, trans := raft.NewInmemTransport("x")
	defer trans.Close()
	want := bytes.Repeat([]byte(title), 10_000)
	for _, key := range []*sealed.Key{nil, sealed.Passing()} {
		dir := t.TempDir()
		p, err := OpenSnapshots(dir, key, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		begin := func() raft.SnapshotSink {
			sink, err := p.Create(1, 7, 3, raft.Configuration{}, 1, trans)
			if err == nil {
				_, err = sink.Write(want)
			}
			if err != nil {
				t.Fatal(err)
			}
			return sink
		}
		if err := begin().Cancel(); err != nil {
			t.Fatal(err)
		}
		sink := begin()
		if err := errors.Join(sink.Close(), sink.Close()); err != nil {
			t.Fatal(err)
		}
		if found := leaks(t, dir); (len(found) > 0) != (key == nil) {
			t.Errorf("with key %v the title is in %v", key, found)
		}
		list, err := p.List()
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		meta, r, err := p.Open(list[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) || meta.Size != int64(len(want)) { // the size goes to followers
			t.Errorf("%d bytes, said %d: %v", len(got), meta.Size, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhoseAnEncryptedDirectoryIs: a program that knows no encryption finds another member's
// name; without a key it is refused, and so is a key beside a plain directory.
func TestWhoseAnEncryptedDirectoryIs(t *testing.T) {
	key := sealed.Passing()
	path := filepath.Join(t.TempDir(), "origin.json")
	body := `{"id":"h1","instance":"77","raft":"a:1","api":"a:2"}`
	if err := WriteOrigin(path, []byte(body), key); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadOrigin(path, key); err != nil || !sameJSON(t, got, body) {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := ReadOrigin(path, nil); !errors.Is(err, vstack.ErrKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var before struct{ ID, Instance, Raft, API string } // what a former version reads
	if err := json.Unmarshal(raw, &before); err != nil || !strings.Contains(before.ID, "newer version") || before.Instance != "77" || before.Raft != "a:1" || before.API != "a:2" {
		t.Errorf("%+v, %v", before, err)
	}
	if err := WriteOrigin(path, []byte(body), nil); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadOrigin(path, nil); err != nil || !sameJSON(t, got, body) {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := ReadOrigin(path, key); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a key beside a plain directory: %v", err)
	}
}

func sameJSON(t *testing.T, a []byte, b string) bool {
	t.Helper()
	var x, y bytes.Buffer
	if err := errors.Join(json.Compact(&x, a), json.Compact(&y, []byte(b))); err != nil {
		t.Fatal(err)
	}
	return x.String() == y.String()
}

func FuzzOpenEntry(f *testing.F) {
	box, err := sealed.NewBox(sealed.NewKey([sealed.KeyLen]byte{1}))
	if err != nil {
		f.Fatal(err)
	}
	s := &sealedEntries{box: box}
	f.Add(s.seal(&raft.Log{Index: 3, Term: 2, Data: []byte(title)}).Data, byte(sealedType))
	f.Add([]byte("{}"), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		l := raft.Log{Index: 3, Term: 2, Type: raft.LogType(kind), Data: data}
		switch err := OpenEntry(box, &l); {
		case err == nil && string(l.Data) != title:
			t.Fatal("an entry of nobody's opens")
		case err != nil && !errors.Is(err, vstack.ErrCorrupt):
			t.Fatal(err)
		}
	})
}
