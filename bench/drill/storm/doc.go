// Package storm draws what a repetition of the drill chaos does: one host that is struck, how
// and for how long, and which hosts have a bad link meanwhile.
//
// A storm depends on a seed and the number of the repetition alone, so that it can be had
// again.
package storm
