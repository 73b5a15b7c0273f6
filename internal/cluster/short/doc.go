// Package short finds an id by a part of it, as people type it: its beginning or its end.
//
//	01a219f3-ea0a-716d-9f16-0ed14771cb32      01a219f3   or   71cb32
//
// Invariants: a text finds an id only where no other has the same beginning or end; at
// least four characters are asked for.
package short
