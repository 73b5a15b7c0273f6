package drill

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/lab/program"
	"github.com/vstack/vstack/deploy/config"
)

// site is where the hosts are: a lab of the drill's own (place), or a cluster that
// somebody else runs.
type site interface {
	hosts() []host
	// start returns once the cluster serves.
	start(ctx context.Context, opt Options) error
	// env is what clients need, once it has started.
	env() (clients, error)
	// ready waits until every host and store is; wait is told for what. It returns early
	// when a host has ended by itself.
	ready(ctx context.Context, wait func(string)) error
	// mend takes back what the drill has done to hosts; clients may still be there.
	mend() error
	// tidy removes what the loads made, where it would stay otherwise.
	tidy(made *load.Made) error
	// close leaves nothing of the drill.
	close() error
}

// clients is what the loads need of a site.
type clients struct {
	client  *config.Client
	members []string // HOST:PORT of the metastores' APIs
	dir     string   // for the loads' files; there is none yet
	ffmpeg  string
}

func openSite(ctx context.Context, d Drill, opt Options, earlier program.Program) (site, error) {
	if opt.Given != nil {
		return openGiven(d, opt)
	}
	return openPlace(ctx, d.needs, opt, earlier)
}

func (p *place) hosts() []host {
	var out []host
	for i, h := range p.lab.Hosts {
		out = append(out, &labHost{process: h, place: p, index: i})
	}
	return out
}

func (p *place) start(ctx context.Context, opt Options) error {
	p.lab.Env = opt.Env
	exe := opt.Exe
	if p.earlier.Exe != "" {
		exe = p.earlier.Exe
	}
	if err := p.lab.Start(ctx, exe); err != nil {
		return fmt.Errorf("start lab: %w", err)
	}
	return nil
}

func (p *place) env() (clients, error) {
	client, err := config.LoadClient(p.lab.Client, nil, nil)
	if err != nil {
		return clients{}, err
	}
	return clients{client: client, members: client.Metastores, dir: filepath.Join(p.lab.Dir, "clips"), ffmpeg: p.lab.Hosts[0].Config.Ingest.FFmpeg}, nil
}

func (p *place) ready(ctx context.Context, wait func(string)) error {
	p.lab.OnWait = wait
	return p.lab.Ready(ctx)
}

// mend leaves to close what ends with the hosts.
func (p *place) mend() error { return nil }

func (p *place) tidy(*load.Made) error { return nil }
