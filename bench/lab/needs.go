package lab

import (
	"github.com/vstack/vstack/bench/lab/loopdisk"
	"github.com/vstack/vstack/bench/lab/memcap"
	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/bench/link/tun"
)

// Needs are what hosts must have beside processes.
type Needs uint

const (
	Namespaces Needs = 1 << iota // network namespaces, to be cut off in
	Links                        // and links between them, to be made worse
	Disks                        // a disk of its own for each Raft log, to hang
	Memory                       // a control group for each host, to take its memory away

	Nothing Needs = 0
)

// Available tells why there can be no such lab here; nil when there can.
func (n Needs) Available() error {
	for _, kind := range []struct {
		of   Needs
		here func() error
	}{{Namespaces, netns.Available}, {Links, tun.Available}, {Disks, loopdisk.Available}, {Memory, memcap.Available}} {
		if n&kind.of == 0 {
			continue
		}
		if err := kind.here(); err != nil {
			return err
		}
	}
	return nil
}
