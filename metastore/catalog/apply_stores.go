package catalog

import (
	"fmt"
	"net"

	"github.com/vstack/vstack/internal/vstack"
)

// MaxStores bounds the stores of a cluster, MaxHostStores those of one host.
const (
	MaxStores     = 1024
	MaxHostStores = 64
)

// registerStores makes stores known, or moves their address and capacity. A store
// never changes its host: two hosts that claim one StoreID hold copies of one
// directory, and letting both vote would break agreement.
func (a *application) registerStores(p RegisterStoresPayload, _ *Result) error {
	if err := CheckRegistration(p); err != nil {
		return err
	}
	fresh := 0
	for _, s := range p.Stores {
		old := get[*storeRow](a.txn, tableStores, s.ID[:])
		if old == nil {
			fresh++
		} else if old.Store.Host != p.Host {
			return fmt.Errorf("register store %s on host %s: %w on host %s", s.ID, p.Host, vstack.ErrAlreadyExists, old.Store.Host)
		}
	}
	if a.meta.Stores+fresh > MaxStores {
		return fmt.Errorf("register stores of host %s: %w: at most %d stores", p.Host, vstack.ErrTooLarge, MaxStores)
	}
	for _, s := range p.Stores {
		next := storeRow{Store: vstack.Store{ID: s.ID, Host: p.Host, State: vstack.StoreUp}}
		if old := get[*storeRow](a.txn, tableStores, s.ID[:]); old != nil {
			next = *old
			if next.Store.Addr == s.Addr && next.Store.Capacity == s.Capacity {
				continue
			}
		}
		next.Store.Addr, next.Store.Capacity = s.Addr, s.Capacity
		a.put(&next)
		a.placementChanged()
	}
	a.meta.Stores += fresh
	return nil
}

// CheckRegistration reports what is wrong with a registration's fields.
func CheckRegistration(p RegisterStoresPayload) error {
	if _, err := vstack.ParseHostID(string(p.Host)); err != nil {
		return err
	}
	if len(p.Stores) == 0 || len(p.Stores) > MaxHostStores {
		return fmt.Errorf("register %d stores of host %s: %w: want 1 to %d", len(p.Stores), p.Host, vstack.ErrInvalid, MaxHostStores)
	}
	seen := make(map[vstack.StoreID]bool, len(p.Stores))
	for _, s := range p.Stores {
		if s.ID.IsZero() || seen[s.ID] || s.Capacity < 0 {
			return fmt.Errorf("register store %s of host %s: %w: id is zero or listed twice, or capacity is negative", s.ID, p.Host, vstack.ErrInvalid)
		}
		seen[s.ID] = true
		if _, _, err := net.SplitHostPort(s.Addr); err != nil || len(s.Addr) > 270 {
			return fmt.Errorf("register store %s: address %.80q: %w: want HOST:PORT", s.ID, s.Addr, vstack.ErrInvalid)
		}
	}
	return nil
}

// placementChanged marks the placement map as changed here.
func (a *application) placementChanged() {
	a.meta.Placement = a.index
	a.meta.Feed = a.index
}

func (a *application) setLiveness(p SetLivenessPayload, _ *Result) error {
	for _, s := range p.States {
		switch s.State {
		case vstack.StoreUp, vstack.StoreSuspect, vstack.StoreDown:
		default:
			return fmt.Errorf("set liveness of store %s: %w: state %.40q", s.ID, vstack.ErrInvalid, s.State)
		}
	}
	for _, s := range p.States {
		if old := get[*storeRow](a.txn, tableStores, s.ID[:]); old != nil && old.Store.State != s.State {
			next := *old
			next.Store.State = s.State
			if s.State == vstack.StoreUp && next.Store.Leaving == vstack.LeaveDead {
				next.Store.Leaving = "" // it lives, and keeps the roles that it still has
			}
			a.put(&next)
			a.placementChanged()
		}
	}
	for _, e := range p.Echoes {
		if old := get[*storeRow](a.txn, tableStores, e.ID[:]); old != nil && old.Echo < e.LSN {
			next := *old
			next.Echo = e.LSN
			a.put(&next)
		}
	}
	return nil
}
