// Package meter counts what a store of superblocks does: groups and records made durable,
// checksums that failed, damage found. Stores of one process share a registry, each with its
// own label.
package meter
