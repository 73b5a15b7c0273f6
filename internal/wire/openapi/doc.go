// Package openapi describes a role's routes as an OpenAPI 3.1 document.
//
//	[]wire.Route ── Document ──► paths: parameters, bodies, errors by status, who may
//	                        └──► components: a schema of each type of a body, by its JSON tags
//
// Invariants: the list of routes that the server has is what the document is made of, so that
// neither says what the other does not; the same routes give the same bytes.
package openapi
