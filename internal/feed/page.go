package feed

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Page is one answer: whole changes in index order. A page with a placement map holds nothing
// else, so that the map is known before what it selects.
type Page struct {
	Index uint64 // ask again with this
	// At is the change index of the catalog that the page comes from; 0 if that is not known.
	At   uint64
	More bool // another page is ready now
	// Cluster is the catalog's identity, zero until the first placement.
	Cluster   vstack.ClusterID
	Placement *vstack.PlacementMap
	// PlacementJSON is Placement's encoding where that is at hand: one map goes to every host.
	// Append writes it; Decode does not keep it.
	PlacementJSON []byte
	// Uploads carry no Opened and no Source.
	Uploads []vstack.Upload
	Videos  []Video
	// Keys are all keys of playback tokens, where they changed after what the reader has; nil
	// where they did not.
	Keys *vstack.TokenKeys
}

// Video is what a datanode knows of a video.
type Video struct {
	ID    vstack.VideoID
	State vstack.VideoState // published, failed or deleted
	Class vstack.StorageClass
	// ClassIndex is the Raft index of the publish or the last change of class; 0 for one from
	// before the catalog kept it.
	ClassIndex uint64
	Changed    uint64 // Raft index of the last change of any kind
	// Scheme and Kept say how its chunks lie while the class asks for fragments; zero while it
	// does not.
	Scheme vstack.Scheme
	Kept   vstack.Kept
	// Access is who may watch it; zero for everybody, and for a video that ended.
	Access vstack.Access
	// References are those in the groups that were asked for; none when the reader has them.
	References []Reference
}

// Reference is a slot of a video and the chunk that fills it.
type Reference struct {
	Track uint16
	Seq   uint32
	Size  uint32 // bytes
	Chunk vstack.ChunkID
}

// Slot is the slot that the reference fills in a video.
func (r Reference) Slot(v vstack.VideoID) vstack.Slot {
	return vstack.Slot{Video: v, Track: r.Track, Seq: r.Seq}
}

// Lies says how a published video's chunks lie.
func (v *Video) Lies(video *vstack.Video, m *vstack.Manifest) {
	v.Class, v.ClassIndex, v.Access = video.Class, video.ClassIndex, video.Access
	if v.Class != vstack.ClassHot && m != nil {
		v.Scheme, v.Kept = video.Layout.Scheme, video.Layout.Kept(m)
	}
}

// Ended reports whether nothing of the video is readable any more.
func (v *Video) Ended() bool { return v.State != vstack.VideoPublished }

// FromJSON makes a page of one that carries manifests. A member of the first release does not
// say where its catalog ends: that is known of its last page only, and not of an empty one,
// which may come from a member that lags.
func FromJSON(p *wire.FeedPage, req Request) Page {
	page := Page{Index: p.Index, More: p.More, Cluster: p.Cluster, Keys: p.Keys}
	switch {
	case p.End > 0:
		page.At = p.End
	case !p.More && p.Index > req.Since:
		page.At = p.Index
	}
	if !req.References {
		page.Placement = p.Placement
		page.Uploads = slices.Clone(p.Uploads)
		for i := range page.Uploads {
			page.Uploads[i] = Bare(page.Uploads[i])
		}
	}
	for i := range p.Videos {
		fv := &p.Videos[i]
		v := Video{ID: fv.Video.ID, State: fv.Video.State, ClassIndex: fv.Video.ClassIndex, Changed: fv.Video.Index}
		switch {
		case v.State == vstack.VideoPublished && fv.Manifest != nil:
			v.Lies(&fv.Video, fv.Manifest)
			v.References = Select(fv.Manifest, req.Groups)
		case v.State == vstack.VideoFailed || v.State == vstack.VideoDeleted:
		default:
			continue // an upload that is under way names nothing
		}
		page.Videos = append(page.Videos, v)
	}
	return page
}

// Select are the references of a manifest in groups.
func Select(m *vstack.Manifest, groups Groups) (refs []Reference) {
	if groups.Empty() {
		return nil
	}
	m.Slots(func(s vstack.Slot, c vstack.ChunkRef) bool {
		if groups.Has(s.PG()) {
			refs = append(refs, Reference{Track: s.Track, Seq: s.Seq, Size: c.Size, Chunk: c.ID})
		}
		return true
	})
	return refs
}

// Bare is an upload without what no datanode reads.
func Bare(u vstack.Upload) vstack.Upload {
	return vstack.Upload{ID: u.ID, Video: u.Video, State: u.State, Incarnation: u.Incarnation, Owner: u.Owner, Index: u.Index}
}

// Bounds end a page: once it holds so many objects or references, or comes of looking at so
// many slots, the next change is another page's.
type Bounds struct{ Objects, References, Slots int }

// MemberBounds are those of a metastore.
func MemberBounds() Bounds { return Bounds{Objects: 5000, References: 20_000, Slots: 200_000} }
