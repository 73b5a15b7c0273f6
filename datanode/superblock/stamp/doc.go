// Package stamp is what a store's directory says of the store as a whole: the file STORE, who
// it is and the highest format version of its files, and with which data key its records are
// sealed, if it has one.
//
// Invariants: a store with sealed records has its data key on disk, in the form that Keys
// gives it, before STORE says their version, and STORE says it before there is one.
package stamp
