//go:build !race

package chunkpaxos

const raceEnabled = false
