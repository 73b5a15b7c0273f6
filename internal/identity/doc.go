// Package identity says who a process is: the cluster's certificate authority, the
// certificate of a host or an administrator, and the TLS configurations made of them.
//
// Words: the CA signs; a host is a machine that serves roles; an admin is a person or
// tool that may change the catalog; a reader has the CA's certificate only, verifies
// whom it talks to and stays anonymous.
//
// A directory holds an identity as three PEM files:
//
//	ca.crt   the CA's certificate; several while a CA is being replaced   0644
//	tls.crt  the leaf, ECDSA P-256                                        0644
//	tls.key  its private key, PKCS #8                                     0600
//
// The leaf's subject carries the role in OU ("host" or "admin") and the id in CN; its
// subject alternative names are the addresses it may be dialled by.
//
// Invariants: TLS 1.3 only; a peer is believed only from a chain that the TLS stack
// verified; a Reload that finds anything wrong changes nothing; connections that
// exist outlive a Reload, and every later handshake uses the new files.
//
// The roots that a client configuration trusts are those of the moment of ClientTLS:
// to replace the CA itself, first add the new CA to every ca.crt and restart the
// clients, then issue new leaves, then take the old CA away.
package identity
