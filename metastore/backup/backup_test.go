package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
)

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// small is a catalog with three stores, a placement and an upload.
func small(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New(catalog.Config{Fatal: func(err error) { t.Error(err) }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	index := uint64(0)
	apply := func(typ command.Type, payload any) {
		index++
		b, err := command.Encode(typ, payload, "", day)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(&raft.Log{Index: index, Type: raft.LogCommand, Data: b}).(*command.Result).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var groups [][]vstack.StoreID
	stores := []vstack.StoreID{{1}, {2}, {3}}
	for i, s := range stores {
		apply(command.RegisterStores, command.RegisterStoresPayload{Host: vstack.HostID([]string{"h1", "h2", "h3"}[i]),
			Stores: []command.StoreRegistration{{ID: s, Addr: "127.0.0.1:1", Capacity: 1}}})
	}
	for range vstack.PlacementGroups {
		groups = append(groups, stores)
	}
	apply(command.AssignPlacement, command.AssignPlacementPayload{Base: index, Groups: groups, Cluster: vstack.ClusterID{7}})
	apply(command.OpenUpload, command.OpenUploadPayload{Upload: vstack.UploadID{1}, Video: vstack.VideoID{2}, Title: "t", Policy: vstack.PolicyAuto,
		Owner: vstack.ProposerID{3}, Source: vstack.Source{Name: "f", Size: 1, SHA256: vstack.ChunkID{9}}})
	return c
}

func save(t testing.TB, c *catalog.Catalog) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, c.View(), Origin{Node: "h1", Term: 4, Leader: true, Time: day}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestABackupTellsWhatItHolds(t *testing.T) {
	c := small(t)
	b := save(t, c)
	want, err := c.View().Checksum()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{"at once": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b)), "with the end": iotest.DataErrReader(bytes.NewReader(b))} {
		info, err := Inspect(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if info.Checksum != want || info.Index != 5 || info.Term != 4 || info.Node != "h1" || !info.Leader || !info.Time.Equal(day) ||
			info.Cluster != (vstack.ClusterID{7}) || info.Size != int64(len(b)) || info.Counts.Videos != 1 || info.Counts.Open != 1 || info.Counts.Stores != 3 {
			t.Errorf("%s: %+v", name, info)
		}
	}
	info, view, err := Rebase(bytes.NewReader(b), 9, vstack.LevelFirst, day)
	if err != nil || view.Applied() <= 9 || view.Counts().Open != 0 || info.Index != 5 {
		t.Fatalf("rebased: %+v, %v", info, err)
	}
}

func TestDamagedBackupsAreRefused(t *testing.T) {
	b := save(t, small(t))
	refused := func(what string, at int, b []byte) {
		t.Helper()
		_, err := Inspect(bytes.NewReader(b))
		_, view, err2 := Rebase(bytes.NewReader(b), 0, vstack.LevelFirst, day)
		if !errors.Is(err, vstack.ErrBackupInvalid) || !errors.Is(err2, vstack.ErrBackupInvalid) || view != nil {
			t.Fatalf("%s at %d of %d: %v, %v", what, at, len(b), err, err2)
		}
	}
	step := max(1, len(b)/100)
	for at := 0; at < len(b); at += step {
		bad := bytes.Clone(b)
		bad[at] ^= 0x20
		refused("a flipped bit", at, bad)
		refused("cut off", at, b[:at])
	}
	for at := len(b) - 36; at < len(b); at += 5 {
		bad := bytes.Clone(b)
		bad[at] ^= 1
		refused("a flipped bit", at, bad)
		refused("cut off", at, b[:at])
	}
	refused("a byte more", len(b), append(bytes.Clone(b), 0))
	refused("twice", len(b), append(bytes.Clone(b), b...))
	// A file whose own checksums all hold, around a snapshot of nothing.
	forged := bytes.Clone(b[:len(b)-sha256.Size])
	forged = forged[:len(forged)-100]
	sum := sha256.Sum256(forged)
	refused("a snapshot that was cut off before the checksum was made", len(forged), append(forged, sum[:]...))
}

func TestATransportThatFailsIsNoDamage(t *testing.T) {
	b := save(t, small(t))
	broken := errors.New("connection reset")
	_, err := Inspect(io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func FuzzInspect(f *testing.F) {
	b := save(f, small(f))
	f.Add(b)
	f.Add(b[:60])
	f.Add([]byte(magic + "\xff\xff\x00\x00...."))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := Inspect(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, vstack.ErrBackupInvalid) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if info.Size != int64(len(b)) {
			t.Fatalf("accepted %d bytes of %d", info.Size, len(b))
		}
	})
}

func TestRebaseIndexOnlyRises(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	first := rebaseIndex(1000, 20, now)
	if again := rebaseIndex(1000, 20, now.Add(time.Second)); again <= first+1<<19 {
		t.Errorf("a second restore of one backup: %d after %d", again, first)
	}
	if of := rebaseIndex(first+5, 20, now); of <= first+5+1<<31 {
		t.Errorf("a backup of the restored: %d after %d", of, first)
	}
	if into := rebaseIndex(1000, first, now); into <= first {
		t.Errorf("into a cluster that has been restored: %d after %d", into, first)
	}
}
