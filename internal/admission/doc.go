// Package admission shares what is scarce among clients, so that no one of them can have it
// all while others wait.
//
//	request ── Key ──► Budget.Acquire(key, n) ──► work ──► Release
//	                      │ waits its turn, until its context ends
//
// The words: a Key is who asks, a certificate or else an address; a Budget is an amount of
// anything, such as requests in flight or bytes of memory; a share is an eighth of it.
//
// Invariants: no more than the whole is ever lent; while several keys wait, none gets beyond
// its share, and they are served in turn, each in the order in which it asked; a key that is
// alone may have all but one share, which is kept for the next that comes.
package admission
