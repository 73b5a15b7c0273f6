// Package repeats keeps lines that come again and again out of a log: a member that is away
// makes the library say so several times a second, for as long as it is away.
package repeats
