// Package verify asks the stores that should hold a video's chunks for them: whether they have
// their copies and fragments, and, deep, whether the bytes are right. A fragment proves nothing
// by itself: those of a chunk are joined, and the one that does not belong to it is named.
package verify
