// Package wire is both HTTP contracts of V-Stack, for both sides: the JSON of the
// metastore and uploader, the headers of the data plane, and the only table that
// maps errors to statuses.
//
// Control plane: JSON bodies, errors as application/problem+json with a stable
// `code`. Data plane: the body is the raw bytes of a chunk; everything else is in
// Vstack-* headers, so that a chunk can be sent, ranged and cached by stock tools.
package wire
