package datanode

import (
	"fmt"
	"net/http"
	"time"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// viewAge is how old what the leader said may be for a private film to be read: a token that
// was revoked before is refused by every store, also by one that is cut off.
const viewAge = 10 * time.Second

// insiders read everything by their certificate.
const insiders = vstack.RolesHost | vstack.RoleAdmin

// guard keeps private films from who may not watch them.
type guard struct {
	view  *catalog.Follower
	judge watch.Judge
	now   func() time.Time
}

// watched asks before a chunk or a fragment is read, and before it is looked for: who may not
// read it is answered as if it was not here, whether it is or not.
func (g *guard) watched(refuse func(http.ResponseWriter, error), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.view.Guarded() && !inside(r) {
			if err := g.chunk(r); err != nil {
				refuse(w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// kept answers insiders alone while a film may be private.
func (g *guard) kept(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.view.Guarded() {
			if _, err := identity.RequirePeer(r, insiders); err != nil {
				wire.WriteError(w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// inside reports whether a host or an administrator asks.
func inside(r *http.Request) bool {
	p, ok := identity.PeerOf(r.TLS)
	return ok && p.Roles.Has(insiders)
}

// chunk judges a read of the chunk that a path names. One that it misnames is refused later.
func (g *guard) chunk(r *http.Request) error {
	id, err := vstack.ParseChunkID(r.PathValue("sha256"))
	if err != nil {
		return nil
	}
	free, private, err := g.view.Watched(id)
	if free && err == nil {
		return nil
	}
	// The token is read whether the chunk is known or not: both take as long.
	token, terr := g.judge.Read(watch.Request{Token: watch.Of(r), Keys: g.view.Keys(), Now: g.now(), From: r.RemoteAddr})
	for _, p := range private {
		if terr != nil || token.For(p.Video, p.Access) != nil {
			continue
		}
		if age := g.now().Sub(g.view.Fresh()); age > viewAge {
			return fmt.Errorf("chunk of a private film: %w: the leader was heard %s ago, at most %s", vstack.ErrViewStale, age.Round(time.Second), viewAge)
		}
		return nil
	}
	if piece := r.PathValue("scheme"); piece != "" {
		p, err := vstack.ParsePiece(piece + "/" + r.PathValue("number"))
		if err != nil {
			return nil // as above
		}
		return fmt.Errorf("fragment %s of chunk %s: %w", p, id, vstack.ErrNotFound)
	}
	return fmt.Errorf("chunk %s: %w", id, vstack.ErrNotFound)
}
