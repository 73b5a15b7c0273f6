package datanode

import (
	"context"
	"slices"

	"github.com/vstack/vstack/datanode/rebuild"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// locate finds the stores that hold pieces of a chunk: the targets of the group of a slot
// that it fills, and all others that are up, since the group may have moved.
func (s *Server) locate(id vstack.ChunkID) (rebuild.Home, bool) {
	places := s.follower.Slots(map[vstack.ChunkID]struct{}{id: {}})
	place, ok := places[id]
	placement := s.follower.Placement()
	if !ok || placement == nil {
		return rebuild.Home{}, false
	}
	group, ok := placement.Group(place.Slot)
	if !ok {
		return rebuild.Home{}, false
	}
	home := rebuild.Home{Slot: place.Slot}
	for i, target := range group.Targets {
		if st, ok := placement.Store(target); ok {
			home.Holders = append(home.Holders, rebuild.Holder{Store: st, Number: group.Fragment(i)})
		}
	}
	for _, st := range placement.Stores {
		if st.State == vstack.StoreUp && !slices.Contains(group.Targets, st.ID) {
			home.Others = append(home.Others, st)
		}
	}
	return home, true
}

// askFragment asks a peer for a fragment.
func (s *Server) askFragment(ctx context.Context, to vstack.Store, v vstack.Value, p vstack.Piece) (rebuild.Answer, error) {
	data, held, err := s.cfg.Peers.Fragment(s.asHost(ctx), to, v, p)
	return rebuild.Answer{Data: data, Held: held}, err
}

// rotten has the loop make a fragment anew that was condemned.
func (st *store) rotten(id vstack.ChunkID, p vstack.Piece) { st.loop.CorruptPiece(id, p) }

// scrubbed is a store's log whose scrub holds fragments to their chunks, too.
type scrubbed struct {
	*superblock.Store
	rebuilder *rebuild.Rebuilder
}

func (s scrubbed) Scrub(ctx context.Context, bytesPerSecond int64, bad func(vstack.ChunkID, vstack.Piece, error)) (superblock.ScrubReport, error) {
	report, err := s.Store.Scrub(ctx, bytesPerSecond, bad)
	if err != nil {
		return report, err
	}
	proofs, err := s.rebuilder.ProveAll(quicclient.Background(ctx), bytesPerSecond, bad)
	report.Bad += proofs.Rotten
	report.Unproven = proofs.Open
	return report, err
}
