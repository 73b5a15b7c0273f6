package host

import (
	"context"
	"errors"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// revocationsEvery is how often the list of revocations is asked for.
const revocationsEvery = 2 * time.Second

// hearRevocations keeps the list of certificates that are good no more, until ctx ends. While
// no member answers, the last one counts.
func (h *host) hearRevocations(ctx context.Context) error {
	log := h.log.With("part", "revocations")
	tick := time.NewTicker(revocationsEvery)
	defer tick.Stop()
	known, refused := 0, false
	for {
		asking, cancel := context.WithTimeout(ctx, revocationsEvery)
		list, err := h.meta.Revocations(asking)
		cancel()
		switch {
		case err == nil:
			h.id.Revoke(list.Items, list.Index)
			if len(list.Items) != known {
				log.Warn("certificates revoked", "entries", len(list.Items), "before", known)
			}
			known, refused = len(list.Items), false
		case errors.Is(err, vstack.ErrRevoked) && !refused:
			refused = true
			log.Error("the certificate of this host was revoked: it takes part in nothing", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
