// Package doctor looks at a machine before and while it runs a V-Stack host: what is
// wrong, and the command that mends it.
//
// A Finding is ok, warn (works, but slower or nearer to trouble than it should) or
// fail (a host will not run, or will not be reached). Checks read and measure; the only
// thing that they write is a temporary file in each data directory, which they remove.
package doctor
