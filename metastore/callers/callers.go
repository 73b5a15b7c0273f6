package callers

import (
	"fmt"
	"net/http"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/apikeys"
	"github.com/vstack/vstack/metastore/forward"
)

// Heard is how long ago a member may have heard of the leader for it to know which API keys are
// good: one that was removed is good nowhere any longer.
const Heard = 2 * time.Second

// Callers is of one member. The zero value is ready.
type Callers struct{ rates admission.Rates }

// Asked is one request at a member.
type Asked struct {
	Member func(id string) bool
	Keys   []vstack.APIKey
	// Silent is how long no leader was heard; 0 at the leader, negative for never.
	Silent func() time.Duration
	Now    time.Time
}

// Of tells who asks. Who shows an API key acts by that alone, whatever certificate it has. A
// request that another member passed on was counted there.
func (c *Callers) Of(r *http.Request, a Asked) (by forward.Caller, err error) {
	var k vstack.APIKey
	if id, shown := vstack.APIKeyOf(r.Header.Get("Authorization")); shown {
		k, err = c.shown(id, a)
	} else {
		if by, err = forward.CallerOf(r, a.Member); err != nil || by.Role != forward.RoleKey {
			return by, err
		}
		k, err = apikeys.Named(a.Keys, by.ID, a.Now)
	}
	if err != nil {
		return forward.Caller{}, err
	}
	by = forward.Key(k.Name, k.Roles())
	tracing.By(r.Context(), by.Name())
	return by, nil
}

func (c *Callers) shown(id vstack.APIKeyID, a Asked) (vstack.APIKey, error) {
	if silent := a.Silent(); silent < 0 || silent > Heard {
		return vstack.APIKey{}, fmt.Errorf("API key: %w: no leader was heard of for %s, and who is good is not known", vstack.ErrUnavailable, Heard)
	}
	k, err := apikeys.Find(a.Keys, id, a.Now)
	if err == nil && !c.rates.Allow(admission.Key(k.Name), k.Rate, a.Now) {
		err = fmt.Errorf("API key %s: %w: %g", k.Name, vstack.ErrRateLimited, k.Rate)
	}
	return k, err
}
