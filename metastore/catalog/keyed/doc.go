// Package keyed indexes tables of go-memdb by bytes of fixed length, so that a lookup by a
// prefix, which an index that is not unique is searched by, never finds a neighbour.
package keyed
