// Package program builds the vstack program of an earlier commit from the repository's
// history, so that versions mix in one lab.
//
//	Build("cc9200c") ── git archive ─► temporary directory ── go build ─► the user's cache,
//	                                                                     one file a commit
//
// A program is built once; what is there under a commit's name is complete.
package program
