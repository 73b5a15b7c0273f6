// Package console is how the command line speaks: listings as table, JSON or YAML,
// progress, sizes and times for people, errors with the next command to try, and exit
// codes.
//
// Data goes to standard output and nothing else does; whatever is for people goes to
// standard error. JSON and YAML carry the same keys, those of the wire types, and are
// stable; a table may change. Colour and moving bars appear on a terminal only.
//
//	exit code   meaning
//	0           done
//	1           error
//	2           usage: the arguments make no sense
//	3           not found
//	4           not allowed
//	5           no quorum, no leader
//	6           degraded: it works, and something is missing
//	7           an asserted bound was missed
//	8           try again
package console
