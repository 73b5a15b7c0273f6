package viewer

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// ofAddress is who a request counts for: an IPv4 address, or a /64 of IPv6.
func ofAddress(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // bits is in range
	return p
}

// byProxy reports whether a request may come from a proxy on this machine, whose word counts.
func byProxy(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback()
}

// Of is who a request counts for. A proxy on this machine says whom it asks for.
func Of(r *http.Request) netip.Prefix {
	who := ofAddress(r.RemoteAddr)
	if !byProxy(r) {
		return who
	}
	// What stands before the last address is the viewer's own word.
	list := r.Header.Get("X-Forwarded-For")
	last := strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
	if asked := ofAddress(net.JoinHostPort(strings.Trim(last, "[]"), "0")); asked.IsValid() {
		return asked
	}
	return who
}

// Here is the address of the directory that a request is for, as whoever asks has it. A proxy
// on this machine may say how it was asked; without a word of it that was by TLS, as the other
// pathways are, or the machine asked itself.
func Here(r *http.Request) string {
	u := url.URL{Scheme: "https", Host: r.Host, Path: path.Dir(r.URL.Path) + "/"}
	switch said := r.Header.Get("X-Forwarded-Proto"); {
	case r.TLS != nil:
	case byProxy(r) && (said == "http" || said == "https"):
		u.Scheme = said
	case u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback():
		u.Scheme = "http"
	}
	return u.String()
}
