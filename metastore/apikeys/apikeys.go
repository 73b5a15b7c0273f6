package apikeys

import (
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// Make draws a key, which nobody hears of again, and what the catalog keeps of it.
func Make(req wire.APIKeyRequest, now time.Time) (k vstack.APIKey, key string, err error) {
	key = vstack.NewAPIKey()
	id, _ := vstack.APIKeyOf("Bearer " + key)
	k = vstack.APIKey{Name: req.Name, ID: id, Scopes: req.Scopes, Created: now, Rate: req.Rate, Bytes: req.Bytes, Films: req.Films}
	if req.Life < 0 || req.Life > vstack.MaxAPIKeyLife.Seconds() {
		return k, "", fmt.Errorf("life of %g s: %w: want at most %g", req.Life, vstack.ErrInvalid, vstack.MaxAPIKeyLife.Seconds())
	}
	if req.Life > 0 {
		k.Expires = now.Add(time.Duration(req.Life * float64(time.Second)))
	}
	return k, key, k.Check()
}

// Find is the key with an id that is good.
func Find(list []vstack.APIKey, id vstack.APIKeyID, now time.Time) (vstack.APIKey, error) {
	at := slices.IndexFunc(list, func(k vstack.APIKey) bool { return k.ID == id })
	if at < 0 || !list[at].Good(now) {
		return vstack.APIKey{}, unknown()
	}
	return list[at], nil
}

// Named is the key of a name that is good, of which a member says that it was shown.
func Named(list []vstack.APIKey, name string, now time.Time) (vstack.APIKey, error) {
	at := index(list, name)
	if at < 0 || !list[at].Good(now) {
		return vstack.APIKey{}, unknown()
	}
	return list[at], nil
}

func unknown() error {
	return fmt.Errorf("API key: %w: it is unknown, removed or expired", vstack.ErrUnauthenticated)
}

// Change is the list after a command, which the proposer's clock dates, and what happened to which
// key, in words; list stays as it is, since the views of older indexes have it.
func Change(list []vstack.APIKey, p command.ChangeAPIKeysPayload, level vstack.Level, now time.Time) (next []vstack.APIKey, name, what string, err error) {
	next = slices.Clone(list)
	switch {
	case level < vstack.LevelKeys:
		err = fmt.Errorf("API keys: %w: there are none below feature level %d", vstack.ErrInvalid, vstack.LevelKeys)
	case p.Add != nil:
		name, what = p.Add.Name, fmt.Sprintf("added, for %v", p.Add.Scopes)
		next, err = add(next, *p.Add)
	case p.Use != nil:
		name, what = p.Use.Name, fmt.Sprintf("uploads %d films of %d bytes", p.Use.Films, p.Use.Bytes)
		err = use(next, *p.Use, now)
	default:
		name, what = p.Drop, "removed"
		at := index(next, name)
		if at < 0 {
			return list, "", "", fmt.Errorf("API key %.80q: %w", name, vstack.ErrNotFound)
		}
		next = slices.Delete(next, at, at+1)
	}
	if err != nil {
		return list, "", "", err
	}
	if len(next) == 0 {
		next = nil // as before there was any
	}
	return next, name, what, nil
}

func index(list []vstack.APIKey, name string) int {
	return slices.IndexFunc(list, func(k vstack.APIKey) bool { return k.Name == name })
}

func add(list []vstack.APIKey, k vstack.APIKey) ([]vstack.APIKey, error) {
	if err := k.Check(); err != nil {
		return list, err
	}
	switch at := index(list, k.Name); {
	case at >= 0 && list[at].ID == k.ID:
		return list, nil // a repeat
	case at >= 0:
		return list, fmt.Errorf("API key %s: %w: remove it first", k.Name, vstack.ErrAlreadyExists)
	case len(list) >= vstack.MaxAPIKeys:
		return list, fmt.Errorf("API key %s: %w: there are %d; remove some", k.Name, vstack.ErrTooLarge, len(list))
	}
	return append(list, k), nil
}

// use counts what a key uploads, within its quota; in place, in a list that is the caller's.
func use(list []vstack.APIKey, u command.APIKeyUse, now time.Time) error {
	at := index(list, u.Name)
	if at < 0 || !list[at].Good(now) {
		return unknown()
	}
	k := &list[at]
	if u.Bytes == -1 && k.Bytes == 0 {
		u.Bytes = 0 // nobody said, and nobody asks
	}
	switch {
	case u.Bytes == -1:
		return fmt.Errorf("API key %s: %w: it has a bound of bytes, so that the size must be said", k.Name, vstack.ErrQuota)
	case u.Films < 0 || u.Bytes < 0 || u.Films > 1<<20 || u.Bytes > 1<<50:
		return fmt.Errorf("%d films of %d bytes: %w", u.Films, u.Bytes, vstack.ErrInvalid)
	case k.Films > 0 && k.UsedFilms+u.Films > k.Films:
		return fmt.Errorf("API key %s: %w: %d of %d films are used", k.Name, vstack.ErrQuota, k.UsedFilms, k.Films)
	case k.Bytes > 0 && k.UsedBytes+u.Bytes > k.Bytes:
		return fmt.Errorf("API key %s: %w: %d of %d bytes are used, and these are %d", k.Name, vstack.ErrQuota, k.UsedBytes, k.Bytes, u.Bytes)
	}
	k.UsedFilms += u.Films
	k.UsedBytes += u.Bytes
	return nil
}
