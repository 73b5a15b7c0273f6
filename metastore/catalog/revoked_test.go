package catalog

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func TestRevocations(t *testing.T) {
	d := placed(t)
	add := func(r vstack.Revocation) command.ChangeRevocationsPayload {
		r.At = epoch
		return command.ChangeRevocationsPayload{Add: &r}
	}
	h3 := vstack.Revocation{Subject: "host h3", Before: epoch, Note: "stolen"}
	d.refused(vstack.ErrInvalid, command.ChangeRevocations, add(h3))
	d.raise(vstack.LevelPolicy)
	d.refused(vstack.ErrInvalid, command.ChangeRevocations, add(vstack.Revocation{Subject: "h3", Before: epoch}))
	before := checksum(t, d.c)
	d.must(command.ChangeRevocations, add(h3))
	if checksum(t, d.c) == before {
		t.Error("a revocation is not in the checksum")
	}
	old := d.c.View()
	h3.Before = epoch.Add(time.Hour) // once more, of later ones: in its place
	d.must(command.ChangeRevocations, add(h3))
	d.must(command.ChangeRevocations, add(vstack.Revocation{Serial: "ab"}))
	if got := d.c.View().Revoked(); len(got) != 2 || !got[0].Before.Equal(h3.Before) {
		t.Errorf("%+v", got)
	}
	if got := old.Revoked(); len(got) != 1 || !got[0].Before.Equal(epoch) {
		t.Errorf("an older view changed: %+v", got)
	}
	restored, _ := newHaltable(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if got := restored.View().Revoked(); len(got) != 2 || got[0].Note != "stolen" {
		t.Errorf("a snapshot has %+v", got)
	}
	d.refused(vstack.ErrNotFound, command.ChangeRevocations, command.ChangeRevocationsPayload{Drop: "host h4"})
	d.must(command.ChangeRevocations, command.ChangeRevocationsPayload{Drop: "host h3"})
	d.must(command.ChangeRevocations, command.ChangeRevocationsPayload{Drop: "serial ab"})
	if got := d.c.View().Revoked(); got != nil {
		t.Errorf("left: %+v", got)
	}
	for n := range vstack.MaxRevocations {
		d.must(command.ChangeRevocations, add(vstack.Revocation{Serial: fmt.Sprintf("1%x", n)}))
	}
	d.refused(vstack.ErrTooLarge, command.ChangeRevocations, add(h3))
	events, _, _ := d.c.View().Events(0, 10)
	var kinds []vstack.EventKind
	for _, e := range events {
		if e.Kind == vstack.EventRevoked || e.Kind == vstack.EventRestored {
			kinds = append(kinds, e.Kind)
		}
	}
	if len(kinds) == 0 {
		t.Errorf("no event of it: %+v", events)
	}
}
