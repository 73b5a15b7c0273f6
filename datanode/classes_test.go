package datanode

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// pin sets a film's policy.
func (j *joint) pin(n byte, p vstack.ClassPolicy) {
	j.t.Helper()
	j.commit(command.SetPolicy, command.SetPolicyPayload{Video: vstack.VideoID{n}, Policy: p})
}

func (j *joint) class(n byte) vstack.StorageClass {
	v, err := j.leader.View().Video(vstack.VideoID{n})
	if err != nil {
		j.t.Fatal(err)
	}
	return v.Class
}

// values are the chunks of a film, its init chunk apart.
func (j *joint) values(n byte) (out map[vstack.ChunkID]vstack.Value) {
	m, _, err := j.leader.View().Manifest(vstack.VideoID{n})
	if err != nil {
		j.t.Fatal(err)
	}
	out = map[vstack.ChunkID]vstack.Value{}
	for slot, c := range m.Slots {
		if slot.Seq > 0 {
			out[c.ID] = vstack.Value{Chunk: c.ID, Size: c.Size}
		}
	}
	return out
}

// held sums up what stores hold of some chunks.
func (j *joint) held(of map[vstack.ChunkID]vstack.Value) (copies, fragments int, size int64) {
	for _, s := range j.stores {
		for id, v := range of {
			for _, p := range s.disk.Pieces(id) {
				if p.Piece.IsChunk() {
					copies++
				} else {
					fragments++
				}
				size += int64(p.Piece.Size(v.Size))
			}
		}
	}
	return copies, fragments, size
}

// bearsTwo wants every chunk readable, and equal, without any two stores.
func (j *joint) bearsTwo(of map[vstack.ChunkID]vstack.Value) {
	j.t.Helper()
	for i := range j.stores {
		for k := range i {
			for id, v := range of {
				b, err := j.read(j.t.Context(), v, func(s *jointStore) bool { return s != j.stores[i] && s != j.stores[k] })
				if err != nil || vstack.ChunkIDOf(b) != id {
					j.t.Fatalf("%s: without stores %d and %d chunk %s: %d bytes, %v", j.class(1), k, i, id.Short(), len(b), err)
				}
			}
		}
	}
}

// TestAFilmIsConvertedThereAndBackWithoutALackingByte: at every moment of the way any two
// stores may fail. In the end a cold film is five thirds of its size, and nobody has a copy; a
// store that is replaced meanwhile passes its fragment number on.
func TestAFilmIsConvertedThereAndBackWithoutALackingByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJoint(t, 7, 6)
		defer func() {
			for _, s := range j.stores {
				_ = s.follower.Close()
				_ = s.disk.Close()
			}
		}()
		const chunks = 12
		j.publish(1, chunks)
		of := j.values(1)
		var seen []vstack.StorageClass
		looks := 0
		watch := func() {
			if looks++; looks%4 == 0 {
				j.bearsTwo(of)
			}
			if c := j.class(1); len(seen) == 0 || seen[len(seen)-1] != c {
				seen = append(seen, c)
			}
		}
		is := func(class vstack.StorageClass, copies, fragments int) func() bool {
			return func() bool {
				watch()
				c, f, _ := j.held(of)
				return j.class(1) == class && c == copies && f == fragments
			}
		}
		j.run(time.Minute, is(vstack.ClassHot, 3*chunks, 0))
		j.pin(1, vstack.PolicyCold)
		j.run(3*time.Minute, is(vstack.ClassCold, 0, 5*chunks))
		var whole int64
		for _, v := range of {
			whole += int64(v.Size)
		}
		if _, _, size := j.held(of); float64(size) > 1.667*1.01*float64(whole) {
			t.Errorf("a cold film of %d bytes takes %d", whole, size)
		}
		// A store goes, by order: the newcomer takes its numbers, and nobody else's change.
		leaver := j.stores[0].disk.ID()
		before := j.leader.View().Placement().Groups
		j.commit(command.SetLeaving, command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: leaver, Why: vstack.LeaveOrdered, With: j.stores[6].disk.ID()}}})
		j.run(10*time.Minute, func() bool {
			if c, f, _ := j.held(of); c != 0 || f != 5*chunks {
				watch()
				return false
			}
			st, _ := j.leader.View().Store(leaver)
			return st.Leaving == ""
		})
		for pg, g := range j.leader.View().Placement().Groups {
			for i, id := range g.Targets {
				if at := before[pg].Index(id); at >= 0 && before[pg].Fragment(at) != g.Fragment(i) {
					t.Errorf("group %d: store %s had fragment %d and has %d", pg, id, before[pg].Fragment(at), g.Fragment(i))
				}
			}
		}
		j.bearsTwo(of)
		j.pin(1, vstack.PolicyHot)
		j.run(3*time.Minute, is(vstack.ClassHot, 3*chunks, 0))
		want := []vstack.StorageClass{vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming, vstack.ClassHot}
		if !slices.Equal(seen, want) {
			t.Errorf("the film went through %v", seen)
		}
	})
}
