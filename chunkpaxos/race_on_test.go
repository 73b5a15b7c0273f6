//go:build race

package chunkpaxos

const raceEnabled = true
