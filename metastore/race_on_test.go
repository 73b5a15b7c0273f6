//go:build race

package metastore

// patience multiplies Raft's timeouts: five members under the race detector, beside the
// tests of another package on two processors, answer too late for the product's own and
// would elect leaders instead of doing what the test is about.
const patience = 4

// atOnce is how many tests of clusters run at a time.
const atOnce = 3
