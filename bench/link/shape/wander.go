package shape

import "time"

// wanderStep is the least time between two values of a jitter.
const wanderStep = 20 * time.Millisecond

// wander is by how much the delay at a time differs from its mean: a line between values
// drawn from -jitter to jitter. They are so far apart that the line never falls faster
// than time goes by, so that no packet overtakes the one before.
func wander(seed uint64, now, jitter time.Duration) time.Duration {
	if jitter == 0 {
		return 0
	}
	step := max(wanderStep, 2*jitter)
	n, into := now/step, now%step
	a, b := drawn(seed, uint64(n)), drawn(seed, uint64(n)+1)
	return time.Duration((a + (b-a)*float64(into)/float64(step)) * float64(jitter))
}

// drawn is the n-th value from -1 to 1 of a seed (SplitMix64).
func drawn(seed, n uint64) float64 {
	z := seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11)/(1<<52) - 1
}
