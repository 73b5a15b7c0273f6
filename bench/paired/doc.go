// Package paired has the statistics of measurements that were made side by side.
//
// A pair is a figure of ours beside one of a baseline, of the same round or the same seed. What is
// told of pairs is a median with its quartiles, or a mean with an interval that is drawn from the
// pairs themselves (bootstrap), so that nothing is assumed of how they are distributed.
package paired
