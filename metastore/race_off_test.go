//go:build !race

package metastore

// patience multiplies Raft's timeouts; see race_on_test.go.
const patience = 1

// atOnce is how many tests of clusters run at a time.
const atOnce = 6
