// Package arrive has a file read while its bytes still arrive: a reader waits at the end of
// what is there until there is more, or until there will be no more.
//
// Invariants: a reader sees each byte of the file once and in order. A file that gets
// shorter, because what had come was not on disk, ends its readers with an error: they may
// have seen bytes that are the file's no more.
package arrive
