// Package webpage reads from a store as a web page does: by WebTransport, at a door that it knows
// by the hash of a certificate. Tests use it.
package webpage
