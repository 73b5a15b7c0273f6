// Package holdings draws where a film lies: a row a store, a column a stretch of the film.
//
//	store  0 s ───────────────► end
//	h1/1   9999999999999999999999      copies: 9 all of the stretch's chunks, 0 none
//	h2/1   9999999999950000000000
//	h3/1   0000000000000999999999      (fragments have such a row of their own)
//
// A film of a million chunks is drawn as small as one of ten. Pure.
package holdings
