package disk

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

func TestAPacedSnapshotIsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	p, err := OpenSnapshots(dir, nil, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	_, trans := raft.NewInmemTransport("x")
	defer trans.Close()
	begin := func() raft.SnapshotSink {
		sink, err := p.Create(1, 7, 3, raft.Configuration{}, 1, trans)
		if err != nil {
			t.Fatal(err)
		}
		return sink
	}
	want := make([]byte, 2*paceBytes+12345)
	_, _ = rand.Read(want)
	sink := begin()
	for rest := want; len(rest) > 0; {
		n, err := sink.Write(rest[:min(1<<20, len(rest))])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if dirty := sink.(*pacedSink).dirty; dirty >= paceBytes {
		t.Errorf("%d bytes wait for the end", dirty)
	}
	for range 2 { // once by Persist, once by the library
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
	list, err := p.List()
	if err != nil || len(list) != 1 || list[0].Size != int64(len(want)) {
		t.Fatalf("%+v, %v", list, err)
	}
	_, r, err := p.Open(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, want %d: %v", len(got), len(want), err)
	}
	given := begin()
	if _, err := given.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := given.Cancel(); err != nil {
		t.Fatal(err)
	}
	if list, err := p.List(); err != nil || len(list) != 1 {
		t.Errorf("a snapshot that was given up is listed: %d, %v", len(list), err)
	}
}
