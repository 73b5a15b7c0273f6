package views

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/vstack"
)

// maxSeen bounds the views of a generation; two are kept. Beyond it the older is forgotten,
// by as many other views, each of which has counted.
const maxSeen = 1 << 17

// Hour remembers who has seen what in the hour that is.
type Hour struct {
	seed maphash.Seed

	mu       sync.Mutex
	at       int64 // hours since 1970
	now, old map[uint64]struct{}
}

// NewHour makes an empty memory.
func NewHour() *Hour { return &Hour{seed: maphash.MakeSeed(), now: map[uint64]struct{}{}} }

// First reports whether a viewer's view of a video is the first in its hour, and remembers
// it. The names of viewers are not kept: only hashes under a key of this process.
func (h *Hour) First(viewer admission.Key, video vstack.VideoID, at time.Time) bool {
	hour := at.Unix() / 3600
	sum := maphash.Comparable(h.seed, struct {
		viewer admission.Key
		video  vstack.VideoID
	}{viewer, video})
	h.mu.Lock()
	defer h.mu.Unlock()
	if hour != h.at {
		h.at, h.now, h.old = hour, map[uint64]struct{}{}, nil
	}
	_, now := h.now[sum]
	_, old := h.old[sum]
	if now || old {
		return false
	}
	if len(h.now) == maxSeen {
		h.now, h.old = map[uint64]struct{}{}, h.now
	}
	h.now[sum] = struct{}{}
	return true
}
