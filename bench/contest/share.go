package contest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/bench/virtual/site"
	"github.com/vstack/vstack/quicclient"
)

// Share is what a client and other downloads bring at once over the same access link, in bits a
// second.
type Share struct {
	Client float64
	Others []float64 // each one connection to one store
	Stalls int       // of the client, where it plays
}

const (
	// shareSettles is how long downloads run before they count, shareTime for how long then.
	shareSettles = 3 * time.Second
	shareTime    = 15 * time.Second
)

// Beside plays or downloads a film beside plain downloads of one connection each, all on the
// viewer's host.
func Beside(ctx context.Context, run Run, others int) (out Share, err error) {
	n := run.Scenario.Draw(scenario.Rand(run.Seed), run.Traces)
	s, err := site.Open(site.Config{Dir: run.Dir, Seed: run.Seed, Hosts: hosts(n), Up: n.Up, Down: n.Down})
	if err != nil {
		return out, err
	}
	defer s.Close()
	s.PutFilm(run.Film.Manifest, run.Film)
	p, err := quicclient.PolicyByName(run.Policy)
	if err != nil {
		return out, err
	}
	c, err := s.Client(func(cfg *quicclient.Config) { cfg.Policy = p })
	if err != nil {
		return out, err
	}
	defer c.Close()
	ctx, stop := context.WithTimeout(ctx, shareSettles+shareTime)
	defer stop()

	taken := make([]atomic.Int64, others)
	errs := make([]error, others+1)
	var running sync.WaitGroup
	for i := range others {
		running.Go(func() { errs[i] = plain(ctx, s, run, s.Stores[i%len(s.Stores)], &taken[i]) })
	}
	opt := quicclient.PlayOptions{Buffer: run.Buffer}
	if !run.Scenario.Download {
		opt.Speed = 1
	}
	opt.OnEvent = func(e quicclient.Event) {
		if e.Kind == quicclient.EventStall {
			out.Stalls++
		}
	}
	running.Go(func() { _, errs[others] = c.Play(ctx, run.Film.Manifest, opt) })

	count := func() (client int64, each []int64) {
		for _, st := range c.Stores() {
			client += st.Bytes
		}
		for i := range taken {
			each = append(each, taken[i].Load())
		}
		return client, each
	}
	time.Sleep(shareSettles)
	client, each := count()
	<-ctx.Done()
	clientEnd, eachEnd := count()
	running.Wait()
	out.Client = float64(clientEnd-client) * 8 / shareTime.Seconds()
	for i := range each {
		out.Others = append(out.Others, float64(eachEnd[i]-each[i])*8/shareTime.Seconds())
	}
	for i, err := range errs {
		if errors.Is(err, context.DeadlineExceeded) {
			errs[i] = nil // they were ended
		}
	}
	return out, errors.Join(errs...)
}
