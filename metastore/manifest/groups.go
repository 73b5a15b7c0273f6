package manifest

import "github.com/vstack/vstack/internal/vstack"

// Groups are the placement groups that a manifest has chunks in.
func Groups(m *vstack.Manifest) (out [vstack.PlacementGroups]bool) {
	if m == nil {
		return out
	}
	left := len(out)
	m.Slots(func(s vstack.Slot, _ vstack.ChunkRef) bool {
		if pg := s.PG(); !out[pg] {
			out[pg] = true
			left--
		}
		return left > 0
	})
	return out
}
