package access

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// Change is who may watch after a command, and what changed, in words; empty if nothing did.
// What took tokens their rights is never taken back: the later time holds.
func Change(a vstack.Access, p command.PatchVideoPayload, level vstack.Level, index uint64) (next vstack.Access, what string, err error) {
	if p.Visibility == "" && p.TokensFrom.IsZero() {
		return a, "", nil
	}
	if err := known(level); err != nil {
		return a, "", err
	}
	var said []string
	next = a
	if p.Visibility != "" {
		if next.Visibility, err = vstack.ParseVisibility(string(p.Visibility)); err != nil {
			return a, "", err
		}
		if next.Visibility != a.Visibility {
			said = append(said, string(next.Visibility))
		}
	}
	if !p.TokensFrom.IsZero() {
		if err := seconds(p.TokensFrom); err != nil {
			return a, "", err
		}
		if p.TokensFrom.After(a.TokensFrom) {
			next.TokensFrom = p.TokensFrom.UTC()
			said = append(said, revoked(p.TokensFrom))
		}
	}
	if len(said) == 0 {
		return a, "", nil
	}
	next.Index = index
	return next, strings.Join(said, "; "), nil
}

// ChangeKeys is the list after a command; list stays as it is, since the views of older indexes
// have it.
func ChangeKeys(list vstack.TokenKeys, p command.ChangeTokenKeysPayload, level vstack.Level, index uint64) (next vstack.TokenKeys, what string, err error) {
	if err := known(level); err != nil {
		return list, "", err
	}
	items := slices.Clone(list.Items)
	at := slices.IndexFunc(items, func(k vstack.TokenKey) bool { return k.ID == KeyOf(p) })
	switch {
	case p.Add != nil:
		what = "added"
		items, err = add(items, at, *p.Add)
	case at < 0:
		err = fmt.Errorf("key %.80q: %w", KeyOf(p), vstack.ErrNotFound)
	case p.Revoke != nil:
		what = revoked(p.Revoke.TokensFrom)
		if err = seconds(p.Revoke.TokensFrom); err == nil && p.Revoke.TokensFrom.After(items[at].TokensFrom) {
			items[at].TokensFrom = p.Revoke.TokensFrom.UTC()
		}
	default:
		what = "removed"
		items = slices.Delete(items, at, at+1)
	}
	if err != nil {
		return list, "", err
	}
	return vstack.TokenKeys{Index: index, Items: items}, what, nil
}

func add(items []vstack.TokenKey, at int, k vstack.TokenKey) ([]vstack.TokenKey, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	switch {
	case at >= 0 && bytes.Equal(items[at].Public, k.Public):
		return items, nil // a repeat
	case at >= 0:
		return nil, fmt.Errorf("key %s: %w: remove it first", k.ID, vstack.ErrAlreadyExists)
	case len(items) >= vstack.MaxTokenKeys:
		return nil, fmt.Errorf("key %s: %w: there are %d; remove some", k.ID, vstack.ErrTooLarge, len(items))
	}
	return append(items, k), nil
}

// KeyOf is the key that a command is about.
func KeyOf(p command.ChangeTokenKeysPayload) string {
	switch {
	case p.Add != nil:
		return p.Add.ID
	case p.Revoke != nil:
		return p.Revoke.ID
	}
	return p.Drop
}

func known(level vstack.Level) error {
	if level < vstack.LevelAccess {
		return fmt.Errorf("who may watch: %w: everybody below feature level %d, the cluster is at %d", vstack.ErrInvalid, vstack.LevelAccess, level.OrFirst())
	}
	return nil
}

// seconds wants what a token can say.
func seconds(t time.Time) error {
	if t.Nanosecond() != 0 || t.Unix() <= 0 || t.Unix() > 1<<40 {
		return fmt.Errorf("tokens from %s: %w: want whole seconds", t, vstack.ErrInvalid)
	}
	return nil
}

func revoked(before time.Time) string {
	return "tokens issued before " + before.UTC().Format(time.RFC3339) + " are revoked"
}
