// Package ahead makes the files of a log before they are needed: reserving a gibibyte
// and making it durable can take a busy disk seconds, in which no append would end.
//
// Words. The spare is a file that has its space and no header yet. It bears the name
// of a temporary file, which the next Open removes, so a crash leaves nothing to
// judge, and a program that knows of no spares does not meet one.
//
//	Begin │ create, reserve, fsync │        Create │ header, fsync, rename, fsync of the directory │
//	        a goroutine of its own                   the caller; makes the file itself without a spare
//
// Invariants:
//   - No file has a final name without its durable header.
//   - There is at most one spare, and at most one attempt at it for each file created.
//   - An error of the disk while the spare is made is told by the next Create and not
//     tried again; only a disk that was full is asked once more.
package ahead
