package redundancy

import (
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/placement"
)

// Places says where each slot of a video lives, and what it bears if everybody holds what they
// should.
func Places(m *vstack.PlacementMap, video vstack.Video, manifest *vstack.Manifest) wire.VideoPlacement {
	out := wire.VideoPlacement{Video: video.ID, Class: video.Class, HostsCanFail: vstack.MaxTargets, StoresCanFail: vstack.MaxTargets, Slots: []wire.SlotPlacement{}}
	type kind struct {
		pg     vstack.PG
		scheme vstack.Scheme
	}
	judged := map[kind]bool{}
	kept := video.Layout.Kept(manifest)
	for slot, ref := range manifest.Slots {
		g, _ := m.Group(slot)
		scheme := video.Layout.Scheme
		if kept.Has(slot.Track, slot.Seq, ref.Size) || !video.Class.Fragments() {
			scheme = vstack.Scheme{}
		}
		holders, need := placement.Holders(g, scheme)
		of := wire.SlotPlacement{Slot: slot, Chunk: ref, PG: slot.PG(), Epoch: g.Epoch, Holders: holders, Scheme: scheme}
		for _, id := range holders {
			if !scheme.IsZero() {
				of.Fragments = append(of.Fragments, g.Fragment(g.Index(id)))
			}
		}
		out.Slots = append(out.Slots, of)
		if k := (kind{slot.PG(), scheme}); !judged[k] {
			judged[k] = true
			hosts, stores := placement.Tolerance(holders, need, m)
			out.HostsCanFail, out.StoresCanFail = min(out.HostsCanFail, hosts), min(out.StoresCanFail, stores)
		}
	}
	return out
}
