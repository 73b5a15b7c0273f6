// Package sums adds a catalog up to one checksum, so that members can be compared: row by row, in any
// order, and without reading the rows that did not change.
package sums
