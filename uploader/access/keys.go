package access

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// keyFresh is how long what the catalog said of an API key counts without asking again: one that
// is removed is good for no longer. What is uploaded is always asked about.
const keyFresh = time.Second

// keys are API keys that were shown here, and are good.
type keys struct {
	rates admission.Rates

	mu    sync.Mutex // not held while the catalog is asked
	known map[vstack.APIKeyID]known
}

// known is what the catalog last said of a key.
type known struct {
	key vstack.APIKey
	at  time.Time // of the question
}

// key is the API key that a request shows, which uploads so many films of so many bytes, -1 if
// nobody said. One that is known is held to its rate before the catalog is asked.
func (g *Gate) key(r *http.Request, films, bytes int64) (k vstack.APIKey, shown bool, err error) {
	id, shown := vstack.APIKeyOf(r.Header.Get("Authorization"))
	if !shown {
		return k, false, nil
	}
	s := &g.keys
	s.mu.Lock()
	last, ok := s.known[id]
	s.mu.Unlock()
	if ok && !s.rates.Allow(admission.Key(last.key.Name), last.key.Rate, time.Now()) {
		return k, true, fmt.Errorf("API key %s: %w: %g", last.key.Name, vstack.ErrRateLimited, last.key.Rate)
	}
	if k = last.key; films > 0 || !ok || time.Since(last.at) > keyFresh || !k.Good(time.Now()) {
		asked := time.Now()
		err := g.secret(r, func() (err error) {
			k, err = g.tickets.UseAPIKey(r.Context(), wire.UseAPIKeyRequest{ID: id, Films: films, Bytes: bytes})
			return err
		})
		if s.note(id, known{k, asked}, err); err != nil {
			return k, true, fmt.Errorf("API key: %w", err)
		}
	}
	if !ok {
		_ = s.rates.Allow(admission.Key(k.Name), k.Rate, time.Now()) // its first request counts, too
	}
	tracing.By(r.Context(), "apikey:"+k.Name)
	return k, true, nil
}

// note takes what the catalog said of a key, or why it said nothing.
func (s *keys) note(id vstack.APIKeyID, k known, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.known, id)
		return
	}
	if s.known == nil || len(s.known) >= vstack.MaxAPIKeys { // most are gone
		s.known = map[vstack.APIKeyID]known{}
	}
	s.known[id] = k
}

// needs wants a key that is good to have one of the roles.
func needs(k vstack.APIKey, err error, roles vstack.Roles) error {
	if err == nil && !k.Roles().Has(roles) {
		err = fmt.Errorf("API key %s: %w: it is for %q, this wants any of %q", k.Name, vstack.ErrForbidden, k.Roles(), roles)
	}
	return err
}
