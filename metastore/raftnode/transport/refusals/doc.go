// Package refusals tells of what was refused on a port, at a bounded rate: who sends garbage
// there must not fill the disk with what is said about it.
package refusals
