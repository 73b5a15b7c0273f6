package revoked

import (
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// Of is the revocation that is asked for.
func Of(req wire.RevokeRequest, now time.Time) (vstack.Revocation, error) {
	r := vstack.Revocation{Subject: req.Subject, Serial: req.Serial, Note: req.Note, At: now.Truncate(time.Second)}
	if r.Subject != "" {
		// Those that were issued until now; their validity begins earlier.
		r.Before = now.Add(-identity.Backdate)
		if !req.Issued.IsZero() {
			r.Before = req.Issued.Add(-identity.Backdate).UTC()
		}
	}
	return r, r.Check()
}

// Change is the list after a command; list stays as it is, since the views of older indexes
// have it.
func Change(list []vstack.Revocation, p command.ChangeRevocationsPayload, level vstack.Level) ([]vstack.Revocation, error) {
	if level < vstack.LevelPolicy {
		return list, fmt.Errorf("revocations: %w: there are none below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	}
	key := p.Drop
	if p.Add != nil {
		if err := p.Add.Check(); err != nil {
			return list, err
		}
		key = p.Add.Key()
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(r vstack.Revocation) bool { return r.Key() == key })
	switch {
	case p.Add == nil && len(rest) == len(list):
		return list, fmt.Errorf("revocation of %.80q: %w", key, vstack.ErrNotFound)
	case p.Add == nil && len(rest) == 0:
		return nil, nil // as before there was any
	case p.Add == nil:
		return rest, nil
	case len(rest) >= vstack.MaxRevocations:
		return list, fmt.Errorf("revocation: %w: there are %d; take back those whose certificates have expired", vstack.ErrTooLarge, len(rest))
	}
	return append(rest, *p.Add), nil
}
