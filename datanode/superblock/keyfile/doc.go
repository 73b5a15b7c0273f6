// Package keyfile keeps a store's data key in the file key.age of its directory, wrapped by
// something that is not there: an age identity, a passphrase, or a command that asks a key
// service or a TPM.
//
// Words. The wrapping is what opens the file; to rewrap is to exchange it, which leaves the
// data key, and so all data, as it is.
//
// The file is one of age (age-encryption.org/v1), binary. Inside is JSON: the store, the
// key's generation, the key. A command wraps the file's own key, 16 bytes, which are in a
// stanza "vstack-command" then: age's tools read the others.
//
// Invariants: the file is replaced whole, and only by one that was opened first; a key of
// another store is refused; no secret is in an error or in a log.
package keyfile
