package catalog

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

var update = flag.Bool("update", false, "write the golden files anew")

// refusedCommands is one command for each way in which a command of level 1 is refused, in
// the order in which a catalog with three stores, an open upload, a published video, a
// deleted one and an aborted upload gets them.
func refusedCommands() (out []struct {
	t command.Type
	p any
}) {
	add := func(t command.Type, payloads ...any) {
		for _, p := range payloads {
			out = append(out, struct {
				t command.Type
				p any
			}{t, p})
		}
	}
	spoilOpen := func(spoil func(*command.OpenUploadPayload)) any { p := opening(9); spoil(&p); return p }
	add(command.OpenUpload,
		opening(1),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Upload = upload(1) }),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Title = "" }),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Title = "a\x01" }),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Policy = "tepid" }),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Owner = vstack.ProposerID{} }),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Video = vstack.VideoID{} }),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Source.Size = -1 }),
		spoilOpen(func(p *command.OpenUploadPayload) { p.Source.Name = strings.Repeat("x", command.MaxSourceText+1) }))
	add(command.ResumeUpload,
		command.ResumeUploadPayload{Upload: upload(1)},
		command.ResumeUploadPayload{Upload: upload(7), Owner: proposer(1)},
		command.ResumeUploadPayload{Upload: upload(2), Owner: proposer(1)})
	spoil := func(change func(*vstack.Manifest)) any {
		m := manifestOf(1, 3)
		change(m)
		return command.PublishPayload{Upload: upload(1), Incarnation: 1, Manifest: m}
	}
	first := func(m *vstack.Manifest) *vstack.Track { return &m.Tracks[0] }
	add(command.Publish,
		command.PublishPayload{Upload: upload(7), Incarnation: 1, Manifest: manifestOf(1, 1)},
		command.PublishPayload{Upload: upload(1), Incarnation: 1},
		command.PublishPayload{Upload: upload(1), Incarnation: 99, Manifest: manifestOf(1, 1)},
		command.PublishPayload{Upload: upload(2), Incarnation: 2, Manifest: manifestOf(2, 1)},
		command.PublishPayload{Upload: upload(1), Incarnation: 1, Manifest: manifestOf(2, 1)},
		json.RawMessage(fmt.Sprintf(`{"upload":%q,"incarnation":1,"manifest":{"version":2,"video":%q,"duration":1,"tracks":[]}}`, upload(1), video(1))),
		json.RawMessage(fmt.Sprintf(`{"upload":%q,"incarnation":1,"manifest":{"version":2,"video":%q,"duration":1,"tracks":[{"number":1,"kind":"video","codec":"","copied":false,"timescale":1,"bitrate":0,"init":{"seq":0,"id":%q,"size":1,"start":0,"duration":0,"keyframe":false},"chunks":[{"seq":5,"id":%q,"size":1,"start":0,"duration":0,"keyframe":false}]}]}}`, upload(1), video(1), vstack.ChunkID{1}, vstack.ChunkID{2})),
		spoil(func(m *vstack.Manifest) { m.Version = 3 }),
		spoil(func(m *vstack.Manifest) { m.Tracks = nil }),
		spoil(func(m *vstack.Manifest) { m.Duration = -1 }),
		spoil(func(m *vstack.Manifest) { m.Tracks = append(m.Tracks, m.Tracks[0]) }),
		spoil(func(m *vstack.Manifest) { first(m).Kind = "smell" }),
		spoil(func(m *vstack.Manifest) { first(m).Kind = "text" }),
		spoil(func(m *vstack.Manifest) { first(m).Codec = strings.Repeat("x", 200) }),
		spoil(func(m *vstack.Manifest) { first(m).Chunks = nil }),
		spoil(func(m *vstack.Manifest) { first(m).Width = -1 }),
		spoil(func(m *vstack.Manifest) { first(m).Bitrate = -1 }),
		spoil(func(m *vstack.Manifest) { first(m).Kind = vstack.TrackOriginal }),
		spoil(func(m *vstack.Manifest) { first(m).Kind, first(m).Init = vstack.TrackOriginal, vstack.ChunkRef{} }),
		spoil(func(m *vstack.Manifest) { first(m).Timescale = 0 }),
		spoil(func(m *vstack.Manifest) { first(m).Init.Seq = 1 }),
		spoil(func(m *vstack.Manifest) { first(m).Init = vstack.ChunkRef{} }),
		spoil(func(m *vstack.Manifest) { first(m).Chunks[1].Seq = 3 }),
		spoil(func(m *vstack.Manifest) { first(m).Chunks[1].Duration = -1 }),
		spoil(func(m *vstack.Manifest) { first(m).Chunks[1].Start-- }),
		spoil(func(m *vstack.Manifest) { first(m).Chunks[1].Size = 0 }),
		spoil(func(m *vstack.Manifest) { first(m).Chunks[1].ID = vstack.ChunkID{} }),
		spoil(func(m *vstack.Manifest) {
			first(m).Chunks[1].ID, first(m).Chunks[1].Size = first(m).Chunks[0].ID, 1
		}))
	add(command.AbortUpload,
		command.AbortUploadPayload{Upload: upload(7)},
		command.AbortUploadPayload{Upload: upload(1), Incarnation: 99},
		command.AbortUploadPayload{Upload: upload(2)})
	bad := "\x7f"
	add(command.DeleteVideo, command.DeleteVideoPayload{Video: video(7)})
	add(command.PatchVideo, command.PatchVideoPayload{Video: video(3)}, command.PatchVideoPayload{Video: video(2), Title: &bad})
	add(command.SetPolicy, command.SetPolicyPayload{Video: video(2), Policy: "tepid"}, command.SetPolicyPayload{Video: video(7), Policy: vstack.PolicyHot})
	elsewhere := registration(0)
	elsewhere.Host = "h9"
	badAddr := registration(8)
	badAddr.Stores[0].Addr = "nowhere"
	negative := registration(8)
	negative.Stores[0].Capacity = -1
	add(command.RegisterStores, elsewhere, badAddr, negative, command.RegisterStoresPayload{Host: "h9"}, command.RegisterStoresPayload{Host: "-"})
	add(command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(0), State: "asleep"}}})
	add(command.AssignPlacement, command.AssignPlacementPayload{Base: 1, Groups: plan(3)})
	add(command.SetLeaving, command.SetLeavingPayload{},
		command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: store(9), Why: vstack.LeaveDead}}},
		command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: store(0), Why: "bored"}}},
		command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: store(0), Why: vstack.LeaveOrdered, With: store(0)}}})
	prepare := func(pg int, from vstack.Epoch, targets []vstack.StoreID, driver vstack.StoreID) any {
		return command.PrepareEpochsPayload{Groups: []command.EpochPreparation{{PG: vstack.PG(pg), From: from, Targets: targets, Driver: driver}}}
	}
	three := plan(3)[0]
	add(command.PrepareEpochs, command.PrepareEpochsPayload{}, prepare(200, 1, three, store(0)), prepare(0, 5, three, store(0)), prepare(0, 1, three[:1], store(0)),
		prepare(0, 1, []vstack.StoreID{store(0), store(0), store(1)}, store(0)), prepare(0, 1, three, store(9)))
	add(command.ActivateEpochs, command.ActivateEpochsPayload{}, json.RawMessage(`{"changes":[{"pg":0,"epoch":0,"attempt":1}]}`))
	return out
}

// TestRefusalsOfTheFirstLevelAreFrozen holds the texts of refusals to those of cc9200c, which
// wrote the golden file: below vstack.LevelFormats they count in the checksum that members
// of both programs must come to, and which the file's last line is.
func TestRefusalsOfTheFirstLevelAreFrozen(t *testing.T) {
	var out bytes.Buffer
	empty := &driver{t: t, c: newCatalog(t)}
	refused := func(d *driver, typ command.Type, p any) {
		d.index++
		res := d.c.Apply(entry(t, d.index, typ, p, fmt.Sprintf("request-%d", d.index))).(*command.Result)
		if res.Code == "" || res.Code == vstack.ErrInternal.Code() {
			t.Errorf("%s at %d was not refused: %+v", typ, d.index, res)
		}
		fmt.Fprintf(&out, "%s %s %s\n", typ, res.Code, res.Detail)
	}
	refused(empty, command.OpenUpload, opening(1))
	refused(empty, command.PrepareEpochs, command.PrepareEpochsPayload{Groups: []command.EpochPreparation{{}}})
	refused(empty, command.ActivateEpochs, json.RawMessage(`{"changes":[{"pg":0,"epoch":1,"attempt":1}]}`))
	refused(empty, command.AssignPlacement, command.AssignPlacementPayload{Base: 77, Groups: plan(3)})
	refused(empty, command.AssignPlacement, command.AssignPlacementPayload{Groups: plan(3)[:5]})
	refused(empty, command.AssignPlacement, command.AssignPlacementPayload{Groups: plan(3)})

	d := placed(t)
	d.must(command.OpenUpload, opening(1))
	d.publish(2, 2)
	d.publish(3, 1)
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(3)})
	d.must(command.OpenUpload, opening(4))
	d.must(command.AbortUpload, command.AbortUploadPayload{Upload: upload(4)})
	for _, c := range refusedCommands() {
		refused(d, c.t, c.p)
	}
	fmt.Fprintf(&out, "checksums %s %s\n", checksum(t, empty.c), checksum(t, d.c))
	const path = "testdata/refusals.golden"
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, old := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(old)) {
		if i >= len(got) || i >= len(old) || got[i] != old[i] {
			t.Fatalf("line %d differs from cc9200c:\n got %q\nwant %q", i+1, at(got, i), at(old, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
