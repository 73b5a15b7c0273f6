package drill

import (
	"context"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/lab/program"
	deploy "github.com/vstack/vstack/deploy/lab"
)

// What the hosts of a drill's lab need beside processes.
const (
	nothing    = lab.Nothing
	namespaces = lab.Namespaces
	links      = lab.Links
	disks      = lab.Disks
	memory     = lab.Memory
)

// purpose names the temporary directories of drills.
const purpose = "drill"

// place is a lab of the drill's own, as a site.
type place struct {
	lab *lab.Lab
	// earlier is the program that made it and starts first; none: this one.
	earlier program.Program
}

// openPlace makes the lab; it starts nothing. On an error nothing is left.
func openPlace(ctx context.Context, need lab.Needs, opt Options, earlier program.Program) (*place, error) {
	if err := need.Available(); err != nil {
		return nil, err
	}
	if err := lab.Sweep(ctx, purpose); err != nil {
		return nil, err
	}
	spec := lab.Spec{Spec: deploy.Spec{Dir: opt.Dir, FirstIP: opt.FirstIP, Superblock: 64 << 20}, Purpose: purpose, Needs: need, Seed: opt.Seed, Program: earlier.Exe}
	if spec.FirstIP == "" && need&namespaces == 0 {
		spec.FirstIP = firstLoopback
	}
	l, err := lab.Init(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &place{lab: l, earlier: earlier}, nil
}

// close leaves nothing but a directory that somebody named.
func (p *place) close() error { return p.lab.Close() }
