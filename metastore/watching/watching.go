package watching

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/forward"
)

// Insiders see all films.
const Insiders = vstack.RolesHost | vstack.RoleAdmin | vstack.RoleRead

// Guard judges callers. The zero Guard is ready.
type Guard struct{ judge watch.Judge }

// May reports whether the caller of a request may know of a video.
func (g *Guard) May(view *catalog.View, r *http.Request, by forward.Caller, id vstack.VideoID) bool {
	v, err := view.Video(id)
	if by.Roles.Has(Insiders) || err == nil && !v.Access.Private() {
		return true
	}
	// Of a video that there is not as of a private one: both take as long.
	t, terr := g.judge.Read(watch.Request{Token: watch.Of(r), Keys: view.TokenKeys(), Now: time.Now(), From: string(by.Key)})
	return err != nil || terr == nil && t.For(id, v.Access) == nil
}

// Listed leaves out what is not public.
func Listed(by forward.Caller, items []vstack.Video) []vstack.Video {
	if by.Roles.Has(Insiders) {
		return items
	}
	return slices.DeleteFunc(items, func(v vstack.Video) bool { return !v.Access.Listed() })
}

// Uploads leaves out those of what is not public.
func Uploads(view *catalog.View, by forward.Caller, items []vstack.Upload) []vstack.Upload {
	if by.Roles.Has(Insiders) {
		return items
	}
	return slices.DeleteFunc(items, func(u vstack.Upload) bool { return !listed(view, u.Video) })
}

// Waiting leaves out those of what is not public.
func Waiting(view *catalog.View, by forward.Caller, items []wire.WaitingVideo) []wire.WaitingVideo {
	if by.Roles.Has(Insiders) {
		return items
	}
	return slices.DeleteFunc(slices.Clone(items), func(w wire.WaitingVideo) bool { return !listed(view, w.Video) })
}

func listed(view *catalog.View, id vstack.VideoID) bool {
	v, err := view.Video(id)
	return err == nil && v.Access.Listed()
}

// Read wants a certificate of who reads the feed, which names all videos, from the feature level
// on at which some may be private.
func Read(view *catalog.View, by forward.Caller) error {
	if view.Level() < vstack.LevelAccess {
		return nil
	}
	return by.Require(vstack.RolesHost | vstack.RoleAdmin)
}

// JWKS is the keys in the form of RFC 7517, with what they lost of their rights.
func JWKS(keys vstack.TokenKeys) wire.JWKS {
	out := wire.JWKS{Keys: []wire.JWK{}, Index: keys.Index}
	for _, k := range keys.Items {
		j := wire.JWK{Type: "OKP", Curve: "Ed25519", Use: "sig", Algorithm: "EdDSA", ID: k.ID, X: k.Public}
		if !k.TokensFrom.IsZero() {
			j.TokensFrom = k.TokensFrom.Unix()
		}
		out.Keys = append(out.Keys, j)
	}
	return out
}

// Add is the command that adds a key. Nothing that was issued before it came is good, but for
// clocks that differ.
func Add(req wire.TokenKeyRequest, now time.Time) command.ChangeTokenKeysPayload {
	now = now.UTC().Truncate(time.Second)
	return command.ChangeTokenKeysPayload{Add: &vstack.TokenKey{ID: req.ID, Public: req.Public, Note: req.Note, Created: now, TokensFrom: now.Add(-watch.Leeway)}}
}

// Revoke is the command that takes their rights from tokens of a key.
func Revoke(id string, req wire.RevokeTokensRequest, now time.Time) command.ChangeTokenKeysPayload {
	return command.ChangeTokenKeysPayload{Revoke: &command.TokenKeyRevoke{ID: id, TokensFrom: From(req.Issued, now)}}
}

// From is the first second of which tokens are good: that after now, unless one is said.
func From(issued int64, now time.Time) time.Time {
	if issued != 0 {
		return time.Unix(issued, 0).UTC()
	}
	return now.UTC().Truncate(time.Second).Add(time.Second)
}

// Check wants a visibility that is one, and that all members can read; none says nothing.
func Check(view *catalog.View, v vstack.Visibility) error {
	if v == "" {
		return nil
	}
	if _, err := vstack.ParseVisibility(string(v)); err != nil {
		return err
	}
	return levelled(view)
}

// levelled wants the feature level at which the catalog knows who may watch.
func levelled(view *catalog.View) error {
	if level := view.Level(); level < vstack.LevelAccess {
		return fmt.Errorf("who may watch: %w: it needs feature level %d, the cluster is at %d", vstack.ErrInvalid, vstack.LevelAccess, level)
	}
	return nil
}

// Patch is the command of a patch. What older members could not read is not proposed.
func Patch(view *catalog.View, id vstack.VideoID, req wire.VideoPatch, now time.Time) (command.PatchVideoPayload, error) {
	p := command.PatchVideoPayload{Video: id, Title: req.Title, Visibility: req.Visibility}
	if req.RevokeTokens {
		p.TokensFrom = From(0, now)
	}
	if req.Title != nil {
		if err := command.CheckTitle(*req.Title); err != nil {
			return p, err
		}
	}
	if p.Visibility != "" || req.RevokeTokens {
		return p, levelled(view)
	}
	return p, nil
}
