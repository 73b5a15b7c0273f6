package catalog

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// registerStores makes stores known, or moves their address and capacity. A store
// never changes its host: two hosts that claim one StoreID hold copies of one
// directory, and letting both vote would break agreement.
func (a *application) registerStores(p command.RegisterStoresPayload, _ *command.Result) error {
	if err := command.CheckRegistration(p); err != nil {
		return err
	}
	fresh := 0
	for _, s := range p.Stores {
		old := rows.Get[*rows.Store](a.txn, rows.TableStores, s.ID[:])
		if old == nil {
			fresh++
		} else if old.Store.Host != p.Host {
			return fmt.Errorf("register store %s on host %s: %w on host %s", s.ID, p.Host, vstack.ErrAlreadyExists, old.Store.Host)
		}
	}
	if a.meta.Stores+fresh > command.MaxStores {
		return fmt.Errorf("register stores of host %s: %w: at most %d stores", p.Host, vstack.ErrTooLarge, command.MaxStores)
	}
	for _, s := range p.Stores {
		next := rows.Store{Store: vstack.Store{ID: s.ID, Host: p.Host, State: vstack.StoreUp}}
		if old := rows.Get[*rows.Store](a.txn, rows.TableStores, s.ID[:]); old != nil {
			next = *old
			if next.Store.Addr == s.Addr && next.Store.Capacity == s.Capacity {
				continue
			}
		}
		next.Store.Addr, next.Store.Capacity = s.Addr, s.Capacity
		if rows.Get[*rows.Store](a.txn, rows.TableStores, s.ID[:]) == nil {
			a.note(vstack.EventJoined, "store "+s.ID.String(), "of host "+string(p.Host)+" at "+s.Addr)
		}
		a.put(&next)
		a.placementChanged()
	}
	a.meta.Stores += fresh
	return nil
}

// placementChanged marks the placement map as changed here.
func (a *application) placementChanged() {
	a.meta.Placement = a.index
	a.meta.Feed = a.index
}

func (a *application) setLiveness(p command.SetLivenessPayload, _ *command.Result) error {
	for _, s := range p.States {
		switch s.State {
		case vstack.StoreUp, vstack.StoreSuspect, vstack.StoreDown:
		default:
			return fmt.Errorf("set liveness of store %s: %w: state %.40q", s.ID, vstack.ErrInvalid, s.State)
		}
	}
	for _, s := range p.States {
		if old := rows.Get[*rows.Store](a.txn, rows.TableStores, s.ID[:]); old != nil && old.Store.State != s.State {
			next := *old
			next.Store.State = s.State
			if s.State == vstack.StoreUp && next.Store.Leaving == vstack.LeaveDead {
				next.Store.Leaving = "" // it lives, and keeps the roles that it still has
			}
			a.put(&next)
			a.placementChanged()
			switch {
			case s.State == vstack.StoreDown:
				a.note(vstack.EventDown, "store "+s.ID.String(), "of host "+string(next.Store.Host))
			case s.State == vstack.StoreUp && old.Store.State == vstack.StoreDown:
				a.note(vstack.EventUp, "store "+s.ID.String(), "of host "+string(next.Store.Host))
			}
		}
	}
	for _, e := range p.Echoes {
		if old := rows.Get[*rows.Store](a.txn, rows.TableStores, e.ID[:]); old != nil && old.Echo < e.LSN {
			next := *old
			next.Echo = e.LSN
			a.put(&next)
		}
	}
	return nil
}
