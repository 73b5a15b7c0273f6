package drill

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/vstack/vstack/bench/drill/given"
	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/lab/program"
	"github.com/vstack/vstack/deploy/config"
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
	exe string // the program that the hosts run
	// earlier is the program that made it and starts first; none: this one.
	earlier program.Program
}

func openSite(ctx context.Context, d Drill, opt Options, earlier program.Program) (site.Site, error) {
	if opt.Given != nil {
		if err := d.Suits(opt.Given.Hosts); err != nil {
			return nil, fmt.Errorf("drill %s: %w", d.Name, err)
		}
		return given.Open(*opt.Given, d.Name, d.Doc, opt.Loads)
	}
	return openPlace(ctx, d.needs, opt, earlier)
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
	l.Env = opt.Env
	return &place{lab: l, exe: opt.Exe, earlier: earlier}, nil
}

// Close leaves nothing but a directory that somebody named.
func (p *place) Close() error { return p.lab.Close() }

func (p *place) Hosts() []site.Host {
	var out []site.Host
	for i, h := range p.lab.Hosts {
		out = append(out, &labHost{process: h, place: p, index: i})
	}
	return out
}

func (p *place) Start(ctx context.Context) error {
	exe := p.exe
	if p.earlier.Exe != "" {
		exe = p.earlier.Exe
	}
	if err := p.lab.Start(ctx, exe); err != nil {
		return fmt.Errorf("start lab: %w", err)
	}
	return nil
}

func (p *place) Env() (site.Clients, error) {
	client, err := config.LoadClient(p.lab.Client, nil, nil)
	if err != nil {
		return site.Clients{}, err
	}
	return site.Clients{Client: client, Members: client.Metastores, Dir: filepath.Join(p.lab.Dir, "clips"), FFmpeg: p.lab.Hosts[0].Config.Ingest.FFmpeg}, nil
}

func (p *place) Ready(ctx context.Context, wait func(string)) error {
	p.lab.OnWait = wait
	return p.lab.Ready(ctx)
}

// Mend leaves to Close what ends with the hosts.
func (p *place) Mend() error { return nil }

func (p *place) Tidy(*load.Made) error { return nil }
