// Package viewers measures one gateway under many viewers: 200 of one film, and one each of
// 50 films, beside nginx that serves the very same segments from files over TLS to the very
// same viewers.
//
//	film ──► lab ──► gateway, a process of its own ──► viewers ◄── nginx ◄── the same segments as files
//
// A viewer is a client with an address of its own that reads HLS from the multivariant
// playlist to the last segment, by one connection, and compares each segment's SHA-256
// with what it was the first time: a byte that differs, a short body and a status other
// than 200 are errors.
//
// Meanwhile, in one part, hosts of the lab are killed and started again.
package viewers
