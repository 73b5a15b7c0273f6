// Package datakey says what opens the data keys of a host's stores and of its roles'
// directories, as its configuration has it.
//
// Words. A directory is where a role keeps what is no chunk; like a store it has a data key in
// its key.age, or it is plain. All of a host's are wrapped by the same.
//
// Invariants: a key is made before the directory has anything to be encrypted, and never for
// one that has been used; a directory with a key file is not opened without its key.
package datakey
