// Package standin is what a host runs in the place of a member of the metadata cluster whose
// log is damaged or lacks its key: it serves where the member would, says what is wrong and what mends it, and
// takes no part in anything.
//
// The library that keeps the log ends the process, from a goroutine of its own, when it
// meets a page that makes no sense. A supervisor would start it again for ever, and stores
// and uploader of the host would go down with it each time. So Check walks the file first,
// by itself, and the host goes on without the member.
//
// Invariants: Check changes nothing, and panics at nothing; what it passes, the library opens.
package standin
