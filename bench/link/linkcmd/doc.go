// Package linkcmd is the command `vstack link`: a relay as flags say, until its time is
// over, and then what it did, or that it was late itself.
package linkcmd
