package identity

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// ServerTLS is the configuration of listeners that readers may use: the server proves
// itself, and a client certificate is verified where one is given. protos are the
// ALPN protocols, by default h2 and http/1.1; http3.ConfigureTLSConfig puts its own
// in their place, and a client that offers none is served without.
func (i *Identity) ServerTLS(protos ...string) *tls.Config {
	return i.serverTLS(tls.VerifyClientCertIfGiven, protos)
}

// MutualTLS is the configuration of listeners that only hosts and administrators may
// use: without a certificate of this cluster's CA there is no connection.
func (i *Identity) MutualTLS(protos ...string) *tls.Config {
	return i.serverTLS(tls.RequireAndVerifyClientCert, protos)
}

func (i *Identity) serverTLS(auth tls.ClientAuthType, protos []string) *tls.Config {
	if len(protos) == 0 {
		protos = []string{"h2", "http/1.1"}
	}
	protos = slices.Clone(protos)
	s := &served{identity: i, auth: auth, protos: slices.Clone(protos)}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ClientAuth:         auth,
		NextProtos:         slices.Clone(protos),
		GetConfigForClient: s.forClient,
		// http.Server.ServeTLS wants to see where certificates come from.
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c := i.current.Load().cert; c != nil {
				return c, nil
			}
			return nil, fmt.Errorf("serve TLS: %w: a reader's identity has no certificate", vstack.ErrInvalid)
		},
	}
}

// ClientTLS is the configuration to dial with: it verifies the server against the
// cluster's CA, the address dialled (the caller or its HTTP stack sets ServerName) and the
// list of revocations, and presents the certificate if there is one. Sessions are not resumed, so that
// every handshake proves the identity of now.
func (i *Identity) ClientTLS() *tls.Config {
	m := i.current.Load()
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: m.roots, VerifyConnection: i.revokedServer}
	if m.cert != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return i.current.Load().cert, nil
		}
	}
	return cfg
}

// shown marks the ticket of a connection that showed a certificate.
var shown = []byte("certificate")

// readersOnly has sessions resumed by those alone who showed no certificate: whoever shows
// one proves it in every handshake. A ticket cannot be withheld from one connection, so the
// others' are marked, and not taken back.
func readersOnly(cfg *tls.Config) {
	cfg.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		if len(cs.PeerCertificates) > 0 {
			ss.Extra = append(ss.Extra, shown)
		}
		return cfg.EncryptTicket(cs, ss)
	}
	cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := cfg.DecryptTicket(ticket, cs)
		if err != nil || ss == nil || slices.ContainsFunc(ss.Extra, func(b []byte) bool { return bytes.Equal(b, shown) }) {
			return nil, err
		}
		return ss, nil
	}
}

// served hands out the configuration of the identity's current files.
type served struct {
	identity *Identity
	auth     tls.ClientAuthType
	protos   []string

	mu   sync.Mutex
	from *material
	cfg  *tls.Config
}

// forClient is a GetConfigForClient: the trusted roots of a tls.Config cannot be
// exchanged, so new files need a new configuration. It repeats NextProtos, because
// crypto/tls does not merge, and stays the same object until the next Reload, because
// the keys of session tickets live in it.
func (s *served) forClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	m := s.identity.current.Load()
	if m.cert == nil {
		return nil, fmt.Errorf("serve TLS: %w: a reader's identity has no certificate", vstack.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from != m {
		s.from = m
		s.cfg = &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{*m.cert},
			ClientAuth:   s.auth,
			ClientCAs:    m.roots,
			NextProtos:   s.protos,
		}
		readersOnly(s.cfg)
	}
	return s.cfg, nil
}
