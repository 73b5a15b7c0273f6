package command

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// Ordered changes a store, and the one that takes its place, as an order says; used is
// whether it has a role.
func Ordered(s *vstack.Store, with *vstack.StoreID, o vstack.StoreOrder, used bool) error {
	switch o {
	case vstack.OrderCordon:
		s.Cordoned = true
	case vstack.OrderUncordon:
		if s.Leaving == vstack.LeaveOrdered {
			return fmt.Errorf("uncordon store %s: %w: its roles are being moved away: undrain it", s.ID, vstack.ErrInvalid)
		}
		s.Cordoned = false
	case vstack.OrderDrain:
		s.Cordoned = true
		if used && s.Leaving == "" {
			s.Leaving = vstack.LeaveOrdered
		}
	case vstack.OrderUndrain:
		s.Cordoned = false
		if s.Leaving == vstack.LeaveOrdered {
			s.Leaving, *with = "", vstack.StoreID{}
		}
	case vstack.OrderRemove:
		if used {
			return fmt.Errorf("remove store %s: %w: it is a target of groups: drain it first", s.ID, vstack.ErrStoreInUse)
		}
	default:
		return fmt.Errorf("order %.40q: %w", o, vstack.ErrInvalid)
	}
	return nil
}
