// Package finding is what recovery, reads and scrubs find wrong in a store's files: what
// kinds of damage there are, and the list of those met since the store was opened.
package finding
