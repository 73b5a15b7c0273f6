// Package early keeps the cuts of files that still arrive.
//
// A cut begins once enough of a file is there and a place is free, and reads on as bytes
// come. When the file is whole, whoever accepts it takes the cut over (Take) and tells it
// where the file lies now and how all of it is to be cut (Cut.Finish); a file that ends
// otherwise drops it (Drop).
//
// Invariants:
//
//   - A cut only ever saves time: who takes over none, or one that has ended in an error,
//     cuts the whole file, and gets the same.
//   - One part has one cut, once. A cut that others want the place of gives it up, but not
//     in its first minute.
package early
