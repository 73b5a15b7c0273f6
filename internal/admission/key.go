package admission

import (
	"net/http"
	"net/netip"

	"github.com/vstack/vstack/internal/identity"
)

// Key is who asks: the name in a certificate of the cluster, else the address, of IPv6 its
// first 64 bits.
type Key string

// KeyOf is that of a request.
func KeyOf(r *http.Request) Key {
	if p, ok := identity.PeerOf(r.TLS); ok {
		return Key(string(p.Role) + " " + p.ID)
	}
	return KeyOfAddr(r.RemoteAddr)
}

// KeyOfAddr is that of HOST:PORT; what is no address is one key.
func KeyOfAddr(remote string) Key {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return "unknown"
	}
	ip := a.Addr().Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64) // of any address there is one
		return Key(p.String())
	}
	return Key(ip.String())
}
