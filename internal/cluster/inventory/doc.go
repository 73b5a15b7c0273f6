// Package inventory compares what the catalog names with what stores say that they hold when
// each is asked for all of it, whatever they reported before: which chunks nobody has, which
// have too few copies or fragments, and which films that concerns.
//
// A chunk is lost when no store that answered has a whole copy, nor enough fragments of one
// scheme to make it from. While a store is silent that is not known for certain.
package inventory
