// Package garbage decides which files compaction writes anew. It is pure: figures of files
// in, their ids out.
//
// Words. What counts in a file is live. Garbage is what writing the file anew would free:
// not its header, and not the part of its footer that its live records would have again.
package garbage
