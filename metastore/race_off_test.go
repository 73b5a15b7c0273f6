//go:build !race

package metastore

// patience multiplies Raft's timeouts; see race_on_test.go.
const patience = 1
