// Package hostcmd works the hosts of a cluster that somebody else runs, by the commands
// that an operator would type.
//
//	timeout: 30s                          # of each command
//	commands:                             # of every host that has none of its own
//	  kill: ssh "$DRILL_HOST" systemctl kill --signal=SIGKILL vstack
//	  start: ssh "$DRILL_HOST" systemctl start vstack
//	hosts:
//	  - id: h1
//	  - id: h2
//	    kill: ssh h2-ipmi chassis power off
//
// The words: an Action is something that is done to a host, and a command is what does
// it; an action that hurts has one that mends it (kill: start, pause: resume …), which
// the host is owed from the moment at which the former begins.
//
// Invariants: a command has ended when Do returns, with all that it started and left in
// its process group where it took too long; its output is bounded; what a host is owed is
// forgotten only when the command that mends it has ended without an error.
package hostcmd
