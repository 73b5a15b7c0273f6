package pages

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// voters are three stores of which the third has nothing yet and the second is away for
// slots above 7.
type voters struct{}

func (voters) RefreshPlacement(context.Context) (*vstack.PlacementMap, error) {
	m := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range 3 {
		m.Stores = append(m.Stores, vstack.Store{ID: vstack.StoreID{byte(i + 1)}, Addr: string(rune('a' + i))})
	}
	for i := range m.Groups {
		m.Groups[i] = vstack.PGTargets{Epoch: 3, Targets: []vstack.StoreID{{1}, {2}, {3}}}
	}
	return m, nil
}

func (voters) Messages(context.Context, string, uint64, bool, uint32) (wire.HeardPage, error) {
	return wire.HeardPage{}, vstack.ErrForbidden
}

func (voters) Slot(_ context.Context, addr string, slot vstack.Slot) (message.SlotState, error) {
	if addr == "b" && slot.Seq > 7 {
		return message.SlotState{}, vstack.ErrUnavailable
	}
	if addr == "c" {
		return message.SlotState{Slot: slot, Epoch: 3}, nil
	}
	return message.SlotState{Slot: slot, Epoch: 3, Accepted: vstack.Ballot{Incarnation: 1}, Value: vstack.Value{Chunk: vstack.ChunkID{9}, Size: 1}}, nil
}

func TestVotesAreThoseOfTheUploadThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		l := &looker{voters: voters{}, jobs: func(context.Context) []wire.Job {
			looks++
			return []wire.Job{
				{State: wire.JobPublished, Video: vstack.VideoID{1}},
				{State: wire.JobRunning, Video: vstack.VideoID{2}, Title: "A film", Tracks: []wire.JobTrack{{Number: 1, Chunks: 8}, {Number: 2, Chunks: 1}, {Number: 3}}},
			}
		}}
		for range 10 { // many pages, one look
			if _, err := l.get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		v, _ := l.get(t.Context())
		if looks != 1 || v.Title != "A film" || len(v.Slots) != 2*votesSlots {
			t.Fatalf("%d looks, %q, %d slots", looks, v.Title, len(v.Slots))
		}
		first, old := v.Slots[0], v.Slots[votesSlots-1]
		if first.Slot.Seq != 10 || first.Chosen || first.Acceptors[1].Error == "" || first.Acceptors[0].Value.Size != 1 {
			t.Errorf("the newest: %+v", first)
		}
		if old.Slot.Seq != 5 || !old.Chosen || len(old.Acceptors) != 3 {
			t.Errorf("the oldest: %+v", old)
		}
		time.Sleep(2 * votesEvery) // of the bubble's clock
		if _, err := l.get(t.Context()); err != nil || looks != 2 {
			t.Errorf("%d looks, %v", looks, err)
		}
	})
}
