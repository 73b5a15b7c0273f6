// Package ops serves the endpoints that every role has, outside /v1:
//
//	GET /livez            200 while the process can answer at all
//	GET /readyz[?verbose] 200 when the role can do its work, else 503; verbose lists each check
//	GET /metrics          Prometheus text format of the role's own registry
//	GET /version          wire.Version as JSON
//	GET /openapi.json     OpenAPI 3.1 of the role's /v1
//
// Liveness never looks at other processes, so that a supervisor does not restart a
// host because a peer is down; readiness does.
package ops
