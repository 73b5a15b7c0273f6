// Package cluster is what a person does with a running cluster, without the flags: find
// it by its client bundle, upload and follow a job, play, export, verify every copy,
// locate a chunk.
//
// A Cluster holds one client bundle's identity, a typed client of the metastore and an
// HTTP client for uploaders and stores. The command line, the end-to-end tests and
// drills share it. Progress is shown on a console.Progress that the caller gives.
//
// Invariants: nothing is written where a person named a file until the whole of it is
// there; bytes that reach a file were checked against the SHA-256 in the manifest; every
// copy in question is asked of the store itself, not of the catalog.
package cluster
