// Package requirements measures the eleven promises of the system that V-Stack follows, on a
// lab of three real hosts: from the start of a playback to the death of a leader. Each figure
// has what was asked for and what is wanted here, which is twice as good.
package requirements
