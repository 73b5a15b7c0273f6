// Package linear judges whether what several clients saw of a register is linearizable:
// whether each operation can be given one moment between its call and its return, so
// that every read returns what the last write before it wrote.
//
// The words: a register holds one number; a history is the operations on one register
// during a window of time. Numbers are written once each, so a read tells which write
// it saw.
//
// A write whose client did not hear the outcome may happen at any time after its call,
// or never: it is open. That it never happens is the same as that it happens after
// everything else. A window can end wherever nothing else is under way: what the
// register then holds is what the next begins with, and open writes stay open in it.
// That can only forgive: a write that happened before the cut may happen again after it.
//
// The search is porcupine's. It is exponential in the worst case, so it is given a
// limit, after which a history is undecided, and open writes are closed before it: one
// that nobody read is left out, one that was read happened before that read returned.
package linear
