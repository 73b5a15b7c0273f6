// Package memcap holds processes in memory control groups, of version 1 or 2, and takes
// their memory away: the kernel gives back what it can of a group above its limit, and
// ends a process of it that needs more.
//
// Groups are named after the process that made them (package owner); Sweep removes those
// of processes that are no more. It needs root.
package memcap
