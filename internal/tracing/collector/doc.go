// Package collector is the smallest thing that takes OTLP over HTTP: it keeps the spans that it
// is sent and draws traces as trees. Tests and drills use it in place of a real collector.
package collector
