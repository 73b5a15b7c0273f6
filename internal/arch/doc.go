// Package arch holds the tests of the repository's shape; it has no other code.
//
// They read the source, not a build: which package imports which (the table of
// docs/architecture.md), how long files, functions and packages are, that every
// package has a doc.go, that no package has a name without meaning, and that the top
// of the repository holds only what belongs there.
package arch
