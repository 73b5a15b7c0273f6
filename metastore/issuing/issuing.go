package issuing

import (
	"net/http"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/asked"
)

// Renew answers a host's request. Who asks is whoever showed the certificate on this
// connection, and never whom a header names.
func Renew(r *http.Request, id *identity.Identity, now time.Time) (out wire.RenewReply, err error) {
	if _, err := identity.RequirePeer(r, vstack.RolesHost); err != nil {
		return out, err
	}
	var req wire.RenewRequest
	if err := asked.Body(r, &req, false); err != nil {
		return out, err
	}
	ca, err := id.Issuing()
	if err != nil {
		return out, err
	}
	cert, err := ca.Renew(r.TLS.VerifiedChains[0][0], req.Request, now)
	if err != nil {
		return out, err
	}
	return wire.RenewReply{Certificate: cert.Raw}, nil
}
