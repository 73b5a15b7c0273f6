// Package proxy holds examples of proxies in front of a gateway's plain listener
// (gateway.plain): nginx, haproxy and Caddy. Its test gives each to its program, where that
// is installed.
//
// What all three do: TLS under a public name, HTTP/1.1 to the gateway without buffering a
// body (a film is long, and events never end), the viewer's address in X-Forwarded-For,
// which the gateway believes from loopback only and counts its budgets by.
package proxy
