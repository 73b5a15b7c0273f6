// Package lab is the cluster that drills and benchmarks run on: real processes on this
// machine, and whatever their hosts need to be hurt.
//
//	deploy/lab   directories, certificates, one process a host: killed, stopped, paused
//	netns        a network namespace a host, to be cut off; links between them (bench/link)
//	loopdisk     a disk for each Raft log, to hang, to be slow or full
//	program      the program of an earlier commit, so that versions mix
//	memcap       a control group a host, to have no memory
//
// Words: Needs are what hosts have beside processes; a Spec says what lab to make.
//
// Invariants: Init starts nothing and leaves nothing on an error; Close ends and removes
// everything but a directory that somebody named; what a process left that was killed is
// removed by Sweep, by names that package owner makes.
package lab
