// Package baseline is what V-Stack is measured beside: the bare cost of a thing, or
// another way to do it, on the same machine, disk and addresses.
//
//	Bare       chunk-sized bodies from memory, quic-go and net/http and nothing else
//	PlainDisk  three files, write and fdatasync in parallel
//	Copies     three copies or one read, net/http and os.File and what cannot be left out
//	Unvoted    the datanode's own listeners and log without ChunkPaxos
//	Raft       three members of the metastore's make, values instead of a catalog
//	Etcd       three members of etcd, where it is installed
//
// Words: a Site is a lab and where to put things beside it; a part is a baseline's server
// in a process of its own, of the same program.
//
// Invariants: a baseline does no work that ours does not do, and has the same client,
// TLS, sizes and durability; every process and file of one is gone after its Close.
package baseline

import (
	"crypto/tls"

	"github.com/vstack/vstack/deploy/lab"
)

// Site is where baselines run: beside the hosts of a lab.
type Site struct {
	Exe string // runs the parts
	Dir string // on the measured disk
	Lab *lab.Lab
	TLS *tls.Config // an administrator's
}
