package catalog

import (
	"cmp"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/access"
	"github.com/vstack/vstack/metastore/apikeys"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
	"github.com/vstack/vstack/metastore/revoked"
	"github.com/vstack/vstack/metastore/tickets"
)

// orderStores takes an operator's order for stores: for all of them, or for none.
func (a *application) orderStores(p command.OrderStoresPayload, _ *command.Result) error {
	switch {
	case a.meta.Level < vstack.LevelPolicy:
		return fmt.Errorf("%s stores: %w: there are no such orders below feature level %d", p.Order, vstack.ErrInvalid, vstack.LevelPolicy)
	case len(p.Stores) == 0 || len(p.Stores) > command.MaxStores:
		return fmt.Errorf("order %d stores: %w: want 1 to %d", len(p.Stores), vstack.ErrInvalid, command.MaxStores)
	}
	used := a.roles()
	next := make([]rows.Store, len(p.Stores))
	for i, id := range p.Stores {
		old := rows.Get[*rows.Store](a.txn, rows.TableStores, id[:])
		if old == nil {
			return fmt.Errorf("%s store %s: %w", p.Order, id, vstack.ErrNotFound)
		}
		next[i] = *old
		if err := command.Ordered(&next[i].Store, &next[i].With, p.Order, used[id]); err != nil {
			return err
		}
	}
	for i := range next {
		old := rows.Get[*rows.Store](a.txn, rows.TableStores, next[i].Key())
		switch {
		case old == nil: // it was named twice, and is removed
		case p.Order == vstack.OrderRemove:
			a.remove(old)
			a.note(vstack.EventOrdered, "store "+old.Store.ID.String(), "remove, of host "+string(old.Store.Host))
			a.meta.Stores--
			a.placementChanged()
		case old.Store != next[i].Store || old.With != next[i].With:
			a.put(&next[i])
			a.placementChanged()
			a.note(vstack.EventOrdered, "store "+old.Store.ID.String(), string(p.Order)+", of host "+string(old.Store.Host))
		}
	}
	return nil
}

// setBalance begins, ends or holds the sharing out of roles.
func (a *application) setBalance(p command.SetBalancePayload, _ *command.Result) error {
	switch {
	case a.meta.Level < vstack.LevelPolicy:
		return fmt.Errorf("balance: %w: stores are not balanced below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	case p.To != vstack.BalanceIdle && p.To != vstack.BalanceRunning && p.To != vstack.BalanceHeld:
		return fmt.Errorf("balance %.40q: %w", p.To, vstack.ErrInvalid)
	}
	if a.meta.Balance != p.To {
		a.note(vstack.EventBalance, "", cmp.Or(string(p.To), "ended"))
	}
	a.meta.Balance = p.To
	return nil
}

// changeTickets changes the list in the meta row: there are few, and an upload changes one.
func (a *application) changeTickets(p command.ChangeTicketsPayload, _ *command.Result) (err error) {
	a.meta.Tickets, err = tickets.Change(a.meta.Tickets, p, a.meta.Level, a.time)
	return err
}

// changeRevocations changes the list in the meta row.
func (a *application) changeRevocations(p command.ChangeRevocationsPayload, _ *command.Result) (err error) {
	if a.meta.Revoked, err = revoked.Change(a.meta.Revoked, p, a.meta.Level); err != nil {
		return err
	}
	if p.Add != nil {
		a.note(vstack.EventRevoked, p.Add.Key(), p.Add.Note)
	} else {
		a.note(vstack.EventRestored, p.Drop, "")
	}
	return nil
}

// changeTokenKeys changes the list in the meta row. Stores hear of it by the feed.
func (a *application) changeTokenKeys(p command.ChangeTokenKeysPayload, _ *command.Result) error {
	keys, what, err := access.ChangeKeys(a.meta.TokenKeys, p, a.meta.Level, a.index)
	if err != nil {
		return err
	}
	a.meta.TokenKeys, a.meta.Feed = keys, a.index
	a.note(vstack.EventAccess, "key "+access.KeyOf(p), what)
	return nil
}

// changeAPIKeys changes the list in the meta row.
func (a *application) changeAPIKeys(p command.ChangeAPIKeysPayload, _ *command.Result) error {
	keys, name, what, err := apikeys.Change(a.meta.APIKeys, p, a.meta.Level, a.time)
	if err == nil {
		a.meta.APIKeys = keys
		a.note(vstack.EventAccess, "apikey:"+name, what)
	}
	return err
}

// remove deletes a row.
func (a *application) remove(r rows.Row) {
	if a.err != nil {
		return
	}
	a.meta.Sum = a.meta.Sum.Minus(r.Checksum())
	if err := a.txn.Delete(r.Table(), r); err != nil {
		a.err = fmt.Errorf("delete from %s: %w", r.Table(), err)
	}
}
