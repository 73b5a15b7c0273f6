// Package jail runs a program that reads what strangers sent, so that whatever it is made
// to do stays small: bounded memory, processor time, descriptors and threads, no network,
// no files but its input and its own libraries, no new privileges, another user where the
// caller is root, and the first to go when memory is short.
//
//	Command ──► helper: this program again, by the name "vstack-jail"
//	              │  limits, user, Landlock, seccomp
//	              ▼  execve
//	            ffmpeg, its input as /proc/self/fd/N
//
// The helper is needed since a process can only tie itself down, and Go cannot run code
// between fork and exec. Whoever wants it calls Enter first thing in main, and names its
// own executable in Jail.Helper. Without a helper the child gets its limits right after
// its start, and nothing else.
//
// Invariants:
//
//   - What the kernel has is used, what it lacks is left out, and Look says which.
//   - A limit that cannot be set ends the helper: nothing runs unbounded by accident.
//   - The helper prints to standard error and exits with Failed before the program began;
//     the program's own exit is passed on by being the same process.
package jail
