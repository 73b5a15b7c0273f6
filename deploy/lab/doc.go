// Package lab makes cluster directories and runs their hosts as processes.
//
// A lab is a directory with everything that a cluster needs: an authority, one
// directory per host that can be moved to its machine, and a client bundle for people.
//
//	DIR/ca/ca.crt ca.key            the cluster's authority; keep it off the hosts
//	DIR/hosts/h1/vstack.yaml        configuration, paths relative to itself
//	DIR/hosts/h1/tls/               ca.crt tls.crt tls.key
//	DIR/hosts/h1/meta/              Raft log and snapshots
//	DIR/hosts/h1/stores/1/ 2/ …     superblocks
//	DIR/hosts/h1/spool/             uploads in progress
//	DIR/hosts/h1/log                standard error of the process
//	DIR/hosts/h1/pid                its number, while it runs
//	DIR/client/                     vstack.yaml ca.crt tls.crt tls.key of the administrator
//	DIR/lock                        held by the process that runs the lab
//
// The words: a Lab is the directory and, once started, the processes; a Host is one
// of them. On one machine every host has a loopback address of its own (127.0.0.1,
// 127.0.0.2 …) and all use the same ports.
//
// Invariants: no process of a lab outlives the one that started it, not even when that
// is killed (PR_SET_PDEATHSIG on a thread that lives as long as the child); each host
// is a process group, so that killing it also kills its ffmpeg; readiness is asked
// from the roles, never guessed by time; a directory is complete or not there.
package lab
