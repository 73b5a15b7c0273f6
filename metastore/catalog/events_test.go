package catalog

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func (d *driver) events() []vstack.Event {
	all, _, more := d.c.View().Events(0, vstack.MaxEvents)
	if more {
		d.t.Error("there are more events than the catalog keeps")
	}
	return all
}

func TestEventsSayWhatHappenedAndWhoAsked(t *testing.T) {
	d := spare(t) // stores 0 to 2 are targets, 3 is a spare; upload 1 is open
	if got := d.events(); len(got) != 0 {
		t.Fatalf("events below their level: %+v", got)
	}
	d.raise(vstack.LevelPolicy)
	title := "new"
	d.publish(2, 1)
	d.must(command.PatchVideo, command.PatchVideoPayload{Video: video(2), Title: &title})
	d.must(command.SetPolicy, command.SetPolicyPayload{Video: video(2), Policy: vstack.PolicyHot})
	d.must(command.AbortUpload, command.AbortUploadPayload{Upload: upload(1)})
	d.must(command.RegisterStores, registration(4))
	moved := registration(4)
	moved.Stores[0].Capacity++
	d.must(command.RegisterStores, moved) // says nothing new
	d.must(command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(3), State: vstack.StoreDown}, {ID: store(4), State: vstack.StoreSuspect}}})
	d.must(command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(3), State: vstack.StoreUp}, {ID: store(4), State: vstack.StoreUp}}})
	d.must(command.OrderStores, orderOf(vstack.OrderDrain, 0))
	for pg := range vstack.PG(vstack.PlacementGroups) {
		d.must(command.PrepareEpochs, prepare(preparation(pg, 1, 0, 3, 1, 2)))
		d.must(command.ActivateEpochs, activate(change(pg, 2, 1)))
	}
	d.must(command.SetBalance, command.SetBalancePayload{To: vstack.BalanceHeld})
	d.must(command.SetBalance, command.SetBalancePayload{To: vstack.BalanceHeld}) // changes nothing
	d.must(command.OrderStores, orderOf(vstack.OrderRemove, 0))
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(2)})
	var kinds []string
	for _, e := range d.events() {
		kinds = append(kinds, string(e.Kind))
		if e.Index == 0 || e.Time.IsZero() || e.By != "" {
			t.Errorf("%+v", e)
		}
	}
	want := "level published renamed pinned aborted joined down up ordered emptied balance ordered deleted"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("events %s\n  want %s", got, want)
	}
	// Who asked is in the entry.
	b, err := command.EncodeFor(command.SetPolicy, command.SetPolicyPayload{Video: video(2), Policy: vstack.PolicyHot}, "", "admin ann", epoch)
	if err != nil {
		t.Fatal(err)
	}
	if cmd, err := command.Decode(b); err != nil || cmd.By != "admin ann" {
		t.Errorf("decoded %+v, %v", cmd, err)
	}
}

// TestTheLastEventsAreKept fills the ring over its bound, by entries that note several at
// once, and takes it through a snapshot.
func TestTheLastEventsAreKept(t *testing.T) {
	d := placed(t)
	d.raise(vstack.LevelPolicy)
	d.publish(1, 1)
	for i := range vstack.MaxEvents + 10 {
		title := fmt.Sprint(i)
		d.must(command.PatchVideo, command.PatchVideoPayload{Video: video(1), Title: &title})
	}
	d.must(command.OrderStores, orderOf(vstack.OrderCordon, 0, 1, 2))
	all := d.events()
	if len(all) != vstack.MaxEvents || all[len(all)-1].Part != 2 || all[len(all)-1].Index != d.index || all[0].Detail != "13" {
		t.Fatalf("%d events from %+v to %+v", len(all), all[0], all[len(all)-1])
	}
	// A page never cuts the events of one entry apart.
	page, next, more := d.c.View().Events(d.index-2, 2)
	if len(page) != 4 || next != d.index || more {
		t.Errorf("page of %d up to %d, more %v", len(page), next, more)
	}
	if page, next, more = d.c.View().Events(d.index-2, 1); len(page) != 1 || next != d.index-1 || !more {
		t.Errorf("page of %d up to %d, more %v", len(page), next, more)
	}
	again := newCatalog(t)
	if err := again.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if checksum(t, again) != checksum(t, d.c) {
		t.Error("another catalog after a snapshot")
	}
	if got, _, _ := again.View().Events(0, vstack.MaxEvents); len(got) != len(all) || got[0] != all[0] {
		t.Errorf("%d events after a snapshot", len(got))
	}
}
