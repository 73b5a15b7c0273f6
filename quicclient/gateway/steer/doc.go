// Package steer tells players which of several gateways to ask: content steering of HLS
// (draft-pantos-content-steering) and of DASH (ETSI TS 103 998), which have one form of
// answer.
//
// Words: a pathway is a gateway under a name; this gateway's own is Self.
//
// The order of pathways follows what can be seen here and now: this gateway first, unless
// it is busy or cannot reach its catalog; then the others that answer, the fastest first;
// then those that do not. The others are asked for their readiness while somebody asks for
// the order, not more often than every few seconds.
package steer
