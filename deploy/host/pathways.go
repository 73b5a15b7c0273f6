package host

import (
	"crypto/tls"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/vstack/vstack/quicclient/gateway/steer"
)

// pathways are the other gateways in the order of their names; the configuration was
// validated.
func pathways(list map[string]string) []steer.Pathway {
	var out []steer.Pathway
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if u, err := url.Parse(list[name]); err == nil {
			out = append(out, steer.Pathway{Name: name, Base: u})
		}
	}
	return out
}

// pathwayClient asks other gateways: each has the cluster's certificate or a public one.
func (h *host) pathwayClient() *http.Client {
	return &http.Client{Transport: either{&http.Transport{TLSClientConfig: h.id.ClientTLS()}, &http.Transport{}}}
}

// either asks the second where the first does not know the certificate.
type either struct{ first, second http.RoundTripper }

func (e either) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := e.first.RoundTrip(r)
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) {
		return e.second.RoundTrip(r)
	}
	return resp, err
}
