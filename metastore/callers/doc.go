// Package callers tells a member who asks: by certificate, by way of another member, or with an
// API key, whose requests a second it bounds.
package callers
