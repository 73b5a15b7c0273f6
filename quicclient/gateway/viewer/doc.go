// Package viewer tells who asks a gateway, and by which address, also through a proxy.
//
// Invariant: the word of a proxy counts only where it stands on this machine.
package viewer
