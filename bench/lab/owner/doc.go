// Package owner names what outlives a process that is killed, namespaces and control
// groups, after the process that made it, so that a later one can tell whose is nobody's.
package owner
