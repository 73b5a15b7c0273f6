package datanode

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// TestAStoreThatLeftKeepsItsCopyUntilTheOthersHaveIt, however long that takes and whether
// or not it is started again meanwhile.
func TestAStoreThatLeftKeepsItsCopyUntilTheOthersHaveIt(t *testing.T) {
	c := newClusterOf(t, []string{"h1", "h2", "h3", "h4"}, func(cfg *Config) {
		cfg.DropGrace, cfg.ConvergeEvery, cfg.Settle = time.Millisecond, 10*time.Millisecond, time.Millisecond
	})
	leaver, newcomer := c.nodes[2], c.nodes[3]
	u := c.open()
	ref := c.put(u, 1, random(1000), c.nodes[:3]...)
	c.publish(u, ref)
	newcomer.stop()
	c.meta.replace(func(groups []vstack.PGTargets) {
		for pg := range groups {
			groups[pg].Epoch++
			groups[pg].Targets = []vstack.StoreID{c.nodes[0].id, c.nodes[1].id, newcomer.id}
		}
	})
	kept := func(when string) {
		t.Helper()
		waitFor(t, leaver.server.complete)
		for range 5 {
			pass := leaver.server.stores[0].loop.Passes()
			waitFor(t, func() bool { return leaver.server.stores[0].loop.Passes() > pass })
		}
		if !leaver.has(ref) {
			t.Fatalf("%s the store that left dropped its copy, and the newcomer has none", when)
		}
	}
	kept("before a restart")
	leaver.stop()
	leaver.start()
	kept("after a restart")
	newcomer.start()
	waitFor(t, func() bool { return newcomer.has(ref) && !leaver.has(ref) })
	waitFor(t, func() bool { return leaver.server.stores[0].Known() == permit.Groups{} }) // nothing is held of any
	if !c.nodes[0].has(ref) || !c.nodes[1].has(ref) {
		t.Error("a target dropped its copy")
	}
}

// groupsOf is a map that gives some groups to a store.
func groupsOf(store vstack.StoreID, groups ...vstack.PG) *vstack.PlacementMap {
	m := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for _, pg := range groups {
		m.Groups[pg].Targets = []vstack.StoreID{store}
	}
	return m
}

func setOf(groups ...vstack.PG) (g permit.Groups) {
	for _, pg := range groups {
		g[pg] = true
	}
	return g
}

func TestGroupsAreNotedUntilNothingOfThemIsHeld(t *testing.T) {
	id, dir := vstack.StoreID{7}, t.TempDir()
	open := func() *lineage {
		t.Helper()
		l, err := openLineage(vfs.OS{}, dir, true)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first, err := openLineage(vfs.OS{}, dir, false)
	if err != nil || first.Known() != setOf() {
		t.Fatalf("an empty store knows groups: %v, %v", first.Known(), err)
	}
	next := groupsOf(id, 3, 9)
	next.Groups[20].Next = &vstack.NextEpoch{Targets: []vstack.StoreID{id}}
	for _, m := range []*vstack.PlacementMap{next, groupsOf(id, 9, 100)} {
		if err := first.Join(m, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.follow(vstack.ClusterID{7}, 5, time.Now()); err != nil {
		t.Fatal(err)
	}
	l := open()
	if l.Known() != setOf(3, 9, 20, 100) || l.get().Seen != 5 {
		t.Fatalf("after a restart: %v, %+v", list(l.Known()), l.get())
	}
	if err := l.Join(groupsOf(id, 9, 100), id); err != nil {
		t.Fatal(err)
	}
	if err := l.Forget([]vstack.PG{3, 9, 20}); err != nil {
		t.Fatal(err)
	}
	if l.Known() != setOf(9, 100) || open().Known() != setOf(9, 100) {
		t.Errorf("groups that were left are %v, want 9 to stay, which the map gives to the store", list(l.Known()))
	}
}

// TestAStoreWithoutItsNoteKnowsAllGroups: it is from before there was one, was written by
// such a binary since, or is damaged.
func TestAStoreWithoutItsNoteKnowsAllGroups(t *testing.T) {
	all := setOf()
	for pg := range all {
		all[pg] = true
	}
	for name, c := range map[string]struct {
		edit func([]byte) []byte
		want permit.Groups
	}{
		"as it was":           {func(b []byte) []byte { return b }, setOf(3, 9)},
		"a group is another":  {func(b []byte) []byte { return bytes.Replace(b, []byte("9]"), []byte("8]"), 1) }, all},
		"an older binary's":   {func([]byte) []byte { return []byte(`{"cluster":"00000000-0000-0000-0000-000000000000","seen":9}`) }, all},
		"a file that is gone": {nil, all},
	} {
		t.Run(name, func(t *testing.T) {
			id, dir := vstack.StoreID{7}, t.TempDir()
			l, err := openLineage(vfs.OS{}, dir, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Join(groupsOf(id, 3, 9), id); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, lineageName)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if c.edit == nil {
				err = os.Remove(file)
			} else {
				err = os.WriteFile(file, c.edit(b), 0o640)
			}
			if err != nil {
				t.Fatal(err)
			}
			l, err = openLineage(vfs.OS{}, dir, true)
			if err != nil || l.Known() != c.want {
				t.Errorf("knows %v, %v", list(l.Known()), err)
			}
		})
	}
}
