package classes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/manifest"
	"github.com/vstack/vstack/metastore/placement"
)

// Config bounds the changes.
type Config struct {
	// Window is how many videos are on their way from one class to another at once, however
	// much space there is.
	Window int
}

// Planner remembers the videos that are not in the class in which they should be.
type Planner struct {
	cfg    Config
	policy vstack.RedundancyPolicy
	paused bool
	wishes map[vstack.VideoID]vstack.StorageClass
	videos map[vstack.VideoID]*video
	read   uint64 // the catalog's feed up to here
}

// video is one of them.
type video struct {
	vstack.Video
	groups [vstack.PlacementGroups]bool
	shares []share
}

// New makes a planner that knows no video; its first look reads the whole catalog.
func New(cfg Config) *Planner {
	return &Planner{cfg: cfg, videos: map[vstack.VideoID]*video{}}
}

// Held says why a video's next step does not come.
type Held struct {
	Video  vstack.VideoID
	To     vstack.StorageClass
	Pinned bool // a person asked for it
	// Err is ErrTooFewTargets for a video that cannot leave hot, ErrDiskFull for one whose way
	// takes more space than there is; nil for one that waits until Groups of its groups are
	// whole, or for its turn.
	Err    error
	Groups int
	Paused bool // whatever else: nothing moves
}

// Why says it in words.
func (h Held) Why() string {
	switch {
	case h.Paused:
		return "moves are paused"
	case h.Err != nil:
		return h.Err.Error()
	case h.Groups > 0:
		return fmt.Sprintf("a store still lacks something in %d of its placement groups", h.Groups)
	}
	return "it waits for its turn"
}

// State is what a decision is made from.
type State struct {
	Map *vstack.PlacementMap
	// Whole is the index through which a group is whole, 0 for none.
	Whole func(vstack.PG) uint64
	// Floor is the least that counts as a ClassIndex.
	Floor uint64
	// Free is what chunks may still take in a store, false for one that is not heard; nil
	// where space is no matter.
	Free func(vstack.StoreID) (int64, bool)
}

// Decision is what to commit now, and what waits.
type Decision struct {
	Steps  []command.StepClassPayload
	Moving int // videos on their way
	Held   []Held
}

// Look reads what changed in the catalog.
func (p *Planner) Look(v *catalog.View) {
	policy, paused := v.Redundancy()
	if v.FeedIndex() < p.read || policy.Layout != p.policy.Layout { // a backup took its place; other chunks are copies
		p.videos, p.read = map[vstack.VideoID]*video{}, 0
	}
	p.policy, p.paused = policy, paused
	for c := range v.Changes(p.read) {
		if c.Upload == nil && p.consider(c.Video, c.Manifest) != nil {
			return // a manifest cannot be read: the next look tries again, if there is one
		}
	}
	p.read = v.FeedIndex()
}

// Wish takes the classes that popularity asks for, of videos whose policy leaves it open, in
// place of those that it asked for before.
func (p *Planner) Wish(v *catalog.View, to map[vstack.VideoID]vstack.StorageClass) {
	p.wishes = to
	for id, of := range p.videos {
		if p.target(of.Video) == of.Class {
			delete(p.videos, id)
		}
	}
	for id := range to {
		if p.videos[id] != nil {
			continue
		}
		if of, err := v.Video(id); err == nil { // else it was deleted since
			_ = p.consider(of, func() (*vstack.Manifest, error) {
				m, _, err := v.Manifest(id)
				return m, err
			}) // as above
		}
	}
}

// consider remembers a video, or forgets one that is where it should be, or was deleted since.
func (p *Planner) consider(v vstack.Video, read func() (*vstack.Manifest, error)) error {
	delete(p.videos, v.ID)
	if v.State != vstack.VideoPublished || p.target(v) == v.Class {
		return nil
	}
	m, err := read()
	if errors.Is(err, vstack.ErrNotFound) {
		return nil
	}
	if err == nil {
		p.videos[v.ID] = &video{Video: v, groups: manifest.Groups(m), shares: shares(m, p.layout(v))}
	}
	return err
}

// Idle reports whether every video is where it should be.
func (p *Planner) Idle() bool { return len(p.videos) == 0 }

// target is the class that a video should end in: where its policy wants it; where that leaves
// it open, where popularity does, and else the end of what is under way.
func (p *Planner) target(v vstack.Video) vstack.StorageClass {
	switch v.Policy {
	case vstack.PolicyHot:
		return vstack.ClassHot
	case vstack.PolicyCold:
		return vstack.ClassCold
	}
	if to, wished := p.wishes[v.ID]; wished {
		return to
	}
	switch v.Class {
	case vstack.ClassCooling:
		return vstack.ClassCold
	case vstack.ClassWarming:
		return vstack.ClassHot
	}
	return v.Class
}

// layout is that in which a video lies, or would once it has cooled.
func (p *Planner) layout(v vstack.Video) vstack.Layout {
	if v.Layout.IsZero() {
		return p.policy.Layout
	}
	return v.Layout
}

// Decide answers the steps that can be taken now: first of videos on their way, the oldest
// first; then of those that are to warm and of those that are to cool, in the order of their
// ids, as long as there is a place in the window and room for them.
func (p *Planner) Decide(s State) Decision {
	var d Decision
	var waiting, moving []*video
	space := &room{state: s, taken: map[vstack.StoreID]int64{}}
	for _, v := range p.sorted() {
		if v.Class == vstack.ClassCooling || v.Class == vstack.ClassWarming {
			moving = append(moving, v)
			space.take(v, v.Class, p.layout(v.Video).Scheme)
		} else {
			waiting = append(waiting, v)
		}
	}
	slices.SortStableFunc(moving, func(a, b *video) int { return cmp.Compare(a.ClassIndex, b.ClassIndex) })
	slices.SortStableFunc(waiting, func(a, b *video) int { return cmp.Compare(a.Class, b.Class) }) // cold before hot
	d.Moving = len(moving)
	for _, v := range moving {
		p.further(&d, s, v)
	}
	for _, v := range waiting {
		p.begin(&d, s, space, v)
	}
	return d
}

// further decides upon a video that is on its way.
func (p *Planner) further(d *Decision, s State, v *video) {
	to := p.target(v.Video)
	if lack := v.lacking(s); (lack > 0 || p.paused) && !back(v.Class, to) {
		d.Held = append(d.Held, Held{Video: v.ID, To: to, Pinned: v.Policy != vstack.PolicyAuto, Groups: lack, Paused: p.paused})
		return
	}
	d.Steps = append(d.Steps, command.StepClassPayload{Video: v.ID, From: v.Class, Index: v.ClassIndex, To: to})
}

// begin decides upon a video that is to go on its way.
func (p *Planner) begin(d *Decision, s State, space *room, v *video) {
	step := command.StepClassPayload{Video: v.ID, From: v.Class, Index: v.ClassIndex, To: vstack.ClassWarming}
	layout := p.layout(v.Video)
	var err error
	if v.Class == vstack.ClassHot {
		step.To, step.Layout, step.HostsCanFail = vstack.ClassCooling, layout, p.policy.HostsCanFail
		err = placement.Bears(s.Map, v.groups, layout.Scheme, step.HostsCanFail)
	}
	if err == nil && d.Moving < p.cfg.Window {
		err = space.has(v, step.To, layout.Scheme)
	}
	if err != nil || p.paused || d.Moving >= p.cfg.Window {
		d.Held = append(d.Held, Held{Video: v.ID, To: step.To, Pinned: v.Policy != vstack.PolicyAuto, Err: err, Paused: p.paused})
		return
	}
	d.Moving++
	space.take(v, step.To, layout.Scheme)
	d.Steps = append(d.Steps, step)
}

// back reports whether a step undoes the transition that is under way: that waits for nobody,
// since what the class before it asks for is still wanted.
func back(class, to vstack.StorageClass) bool {
	return class == vstack.ClassCooling && to == vstack.ClassHot || class == vstack.ClassWarming && to == vstack.ClassCold
}

// lacking counts the groups of a video that are not whole through its ClassIndex.
func (v *video) lacking(s State) (n int) {
	for pg, yes := range v.groups {
		if yes && s.Whole(vstack.PG(pg)) < max(v.ClassIndex, s.Floor, 1) {
			n++
		}
	}
	return n
}

func (p *Planner) sorted() []*video {
	return slices.SortedFunc(maps.Values(p.videos), func(a, b *video) int { return slices.Compare(a.ID[:], b.ID[:]) })
}
