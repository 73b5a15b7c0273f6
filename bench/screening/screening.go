package screening

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/viewing"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/bench/viewing/verdict"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	// tries bounds how often a playback is repeated because a link was late.
	tries = 3
	// patience bounds a playback, beyond the film's length and as a multiple of it.
	patience = 4
)

// Options say what to play.
type Options struct {
	Dir, Exe string   // of the lab
	Policies []string // the first is judged, the others are its baselines
	Links    []string // names of scenarios
	Seeds    int
	Bitrate  float64 // of the film, bits a second
	Buffer   time.Duration
	Length   time.Duration // of the film
	Traces   string        // folder of folders of traces; scenarios that need some are an error without
	Progress func(string)
}

// Screening is what was played.
type Screening struct {
	Results verdict.Results
	// Late are pairs that were left out because a link kept bad time.
	Late int
	// FromCommand are the seconds from the start of `vstack video play` to the first bytes of
	// picture, over the links of which that is measured: the catalog has to be asked first.
	FromCommand []float64
	// LateP95 is the worst 95th percentile, over links, of a playback that counts, in seconds.
	LateP95 float64
}

// Available tells why there can be no screening here; nil when there can.
func Available() error { return (lab.Namespaces | lab.Links).Available() }

// Named are the scenarios of a list, with the traces that they need.
func (o Options) Named() (out []scenario.Scenario, traces map[string][]scenario.Trace, err error) {
	traces = map[string][]scenario.Trace{}
	for _, name := range o.Links {
		all := scenario.All()
		i := slices.IndexFunc(all, func(s scenario.Scenario) bool { return s.Name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("links %q: %w", name, vstack.ErrNotFound)
		}
		s := all[i]
		if s.Traces != "" && traces[s.Traces] == nil {
			if o.Traces == "" {
				return nil, nil, fmt.Errorf("links %q: %w: no folder of traces given", name, vstack.ErrInvalid)
			}
			if traces[s.Traces], err = scenario.ReadTraces(filepath.Join(o.Traces, s.Traces)); err != nil {
				return nil, nil, err
			}
			if len(traces[s.Traces]) < 3 {
				return nil, nil, fmt.Errorf("links %q: %w: %d traces in %s, three are needed", name, vstack.ErrInvalid, len(traces[s.Traces]), filepath.Join(o.Traces, s.Traces))
			}
		}
		if s.Virtual() {
			return nil, nil, fmt.Errorf("links %q: %w: there are only virtual ones", name, vstack.ErrInvalid)
		}
		out = append(out, s)
	}
	return out, traces, nil
}

// Run plays. The lab is made and removed.
func Run(ctx context.Context, opt Options) (_ *Screening, err error) {
	scenarios, traces, err := opt.Named()
	if err != nil {
		return nil, err
	}
	for _, name := range opt.Policies {
		if _, err := quicclient.PolicyByName(name); err != nil {
			return nil, err
		}
	}
	h := &house{opt: opt, films: map[float64]*vstack.Manifest{}, out: &Screening{Results: verdict.Results{}}}
	if h.lab, err = lab.Init(ctx, lab.Spec{Spec: deploy.Spec{LogLevel: "warn"}, Under: opt.Dir, Needs: lab.Namespaces | lab.Links, Seed: 1}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.lab.Close()) }()
	if h.admin, err = h.lab.Serve(ctx, opt.Exe); err != nil {
		return nil, err
	}
	defer h.admin.Meta.Close()
	if h.viewer, err = identity.LoadRoots(filepath.Join(h.lab.Lab.Client, "ca.crt")); err != nil {
		return nil, err
	}
	for _, sc := range scenarios {
		if err := h.show(ctx, sc, traces[sc.Traces]); err != nil {
			return nil, fmt.Errorf("links %s: %w", sc.Name, err)
		}
	}
	if len(h.out.Results) == 0 {
		return nil, fmt.Errorf("each of %d pairs was left out, nothing is measured: %w", h.out.Late, link.ErrLate)
	}
	return h.out, nil
}

// house is a lab with films.
type house struct {
	opt    Options
	lab    *lab.Lab
	admin  *lab.Client
	viewer *identity.Identity
	films  map[float64]*vstack.Manifest // by bit rate
	out    *Screening
}

// film is stored when it is needed first, while links do nothing.
func (h *house) film(ctx context.Context, bitrate float64) (*vstack.Manifest, error) {
	if m := h.films[bitrate]; m != nil {
		return m, nil
	}
	file := filepath.Join(h.lab.Dir, fmt.Sprintf("film-%.0f.mp4", bitrate))
	clip := players.Picture{Seconds: int(h.opt.Length.Seconds()), Rate: fmt.Sprintf("%.0fk", bitrate/1000), Seed: len(h.films) + 1}
	if bitrate < 2e6 {
		clip.Size = "320x180"
	}
	if err := players.Clip(ctx, file, clip); err != nil {
		return nil, err
	}
	id, err := players.Upload(ctx, h.opt.Exe, h.lab.Lab.Client, file, filepath.Base(file))
	if err != nil {
		return nil, err
	}
	m, err := h.admin.Meta.Manifest(ctx, id)
	if err == nil {
		h.films[bitrate] = m
	}
	return m, err
}

// show plays one scenario.
func (h *house) show(ctx context.Context, sc scenario.Scenario, traces []scenario.Trace) error {
	bitrate := h.opt.Bitrate
	if sc.Bitrate > 0 {
		bitrate = sc.Bitrate
	}
	film, err := h.film(ctx, bitrate)
	if err != nil {
		return err
	}
	key := verdict.Key{Scenario: sc.Name, Bitrate: bitrate, Buffer: h.opt.Buffer}
	for seed := range uint64(h.opt.Seeds) {
		layout := sc.Draw(scenario.Rand(seed+1), traces)
		outs := make([]viewing.Outcome, len(h.opt.Policies))
		late := false
		for k := range h.opt.Policies {
			i := (k + int(seed)) % len(h.opt.Policies)
			h.opt.Progress(fmt.Sprintf("  %s, pair %d of %d: %s", sc.Name, seed+1, h.opt.Seeds, h.opt.Policies[i]))
			outs[i], err = h.intime(ctx, sc, layout, film, h.opt.Policies[i])
			if errors.Is(err, link.ErrLate) {
				h.opt.Progress("  left out: " + err.Error())
				late = true
				break
			}
			if err != nil {
				return err
			}
		}
		if late {
			h.out.Late++
			continue
		}
		add := func(policy string, o viewing.Outcome) {
			key.Policy = policy
			h.out.Results[key] = append(h.out.Results[key], o)
		}
		for i, name := range h.opt.Policies {
			add(name, outs[i])
		}
		add(verdict.OracleName, verdict.Oracle(layout, film, h.opt.Buffer, sc.Download))
		if sc.Typed {
			if err := h.command(ctx, layout, film.Video); err != nil {
				return err
			}
		}
	}
	return nil
}

// intime plays until the links kept their times.
func (h *house) intime(ctx context.Context, sc scenario.Scenario, n scenario.Layout, film *vstack.Manifest, policy string) (o viewing.Outcome, err error) {
	for range tries {
		var late float64
		o, late, err = h.play(ctx, sc, n, film, policy)
		if err == nil {
			h.out.LateP95 = max(h.out.LateP95, late)
		}
		if !errors.Is(err, link.ErrLate) {
			break
		}
		h.opt.Progress("  once more: " + err.Error())
	}
	return o, err
}

// play plays once.
func (h *house) play(ctx context.Context, sc scenario.Scenario, n scenario.Layout, film *vstack.Manifest, policy string) (o viewing.Outcome, late float64, err error) {
	places, client, err := h.client(ctx, policy)
	if err != nil {
		return o, 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	v := viewing.Session{Options: quicclient.PlayOptions{Speed: 1, Buffer: h.opt.Buffer}, Slow: map[vstack.StoreID]bool{}, Vanishes: sc.Vanishes, Returns: sc.Returns}
	if sc.Download {
		v.Options.Speed = 0
	}
	for _, slow := range n.Slow {
		for _, st := range places.Stores {
			v.Slow[st.ID] = v.Slow[st.ID] || st.Host == h.lab.Hosts[slow].ID
		}
	}
	if err := h.lab.Net.CountAnew(); err != nil {
		return o, 0, err
	}
	if err := SetLinks(h.lab, n); err != nil {
		return o, 0, err
	}
	pctx, stop := context.WithTimeout(ctx, patience*h.opt.Length)
	o, err = viewing.Watch(pctx, client, film, v)
	stop()
	late, kept := Lateness(h.lab)
	if calm := Calm(ctx, h.lab); err == nil {
		err = errors.Join(kept, calm)
	}
	return o, late, err
}

// client is a viewer's, which knows where chunks are and has no connection yet.
func (h *house) client(ctx context.Context, policy string) (*vstack.PlacementMap, *quicclient.Client, error) {
	places, err := h.admin.Meta.Placement(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := quicclient.PolicyByName(policy)
	if err != nil {
		return nil, nil, err
	}
	known := make(chan *vstack.PlacementMap, 1)
	known <- places
	c, err := quicclient.New(quicclient.Config{TLS: h.viewer.ClientTLS(), Policy: p, Placement: func(ctx context.Context) (*vstack.PlacementMap, error) {
		select {
		case m := <-known:
			return m, nil
		default:
			return h.admin.Meta.Placement(ctx)
		}
	}})
	return places, c, err
}
