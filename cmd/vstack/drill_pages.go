//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/drill"
	"github.com/vstack/vstack/bench/drill/given"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/pages"
	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/vstack"
)

// pageDrills are the drills that the pages' buttons begin, on a cluster whose hosts a file
// has commands for.
type pageDrills struct {
	client *config.Client
	bundle string // as --cluster names it; empty where that is not said
	file   string // as --hosts names it
	hosts  *hostcmd.File
}

// openDrills reads the file; bundle is the client's as --cluster names it.
func openDrills(client *config.Client, bundle, file string) (pages.Drills, error) {
	hosts, err := hostcmd.Load(file)
	if err != nil {
		return nil, err
	}
	return &pageDrills{client, bundle, file, hosts}, nil
}

// Ls lists the drills, those that can be done first.
func (p *pageDrills) Ls() []pages.Drill {
	var can, cannot []pages.Drill
	for _, d := range drill.Drills() {
		one := pages.Drill{Name: d.Name, Doc: d.Doc}
		if err := d.Suits(p.hosts); err != nil {
			one.Lacks = strings.TrimPrefix(err.Error(), vstack.ErrInvalid.Error()+": ")
			cannot = append(cannot, one)
			continue
		}
		can = append(can, one)
	}
	return append(can, cannot...)
}

// Command is the line that does the same.
func (p *pageDrills) Command(r pages.DrillRequest) string {
	line := []string{hostcmd.Quote(os.Args[0])}
	if p.bundle != "" {
		line = append(line, "--cluster", hostcmd.Quote(p.bundle))
	}
	line = append(line, "drill", "run", r.Name, "--hosts", hostcmd.Quote(p.file), "--repeat", fmt.Sprint(r.Repeat), "--load", pageLoads(r.Loads))
	if r.Pause > 0 {
		line = append(line, "--pause", fmt.Sprint(time.Duration(r.Pause*float64(time.Second))))
	}
	return strings.Join(append(line, "--yes"), " ")
}

// Run does one; the page has asked the person.
func (p *pageDrills) Run(ctx context.Context, r pages.DrillRequest, say func(string)) (pages.DrillReport, error) {
	d, err := drill.Find(r.Name)
	if err != nil {
		return nil, err
	}
	loads, err := report.ParseLoads(pageLoads(r.Loads))
	if err != nil {
		return nil, err
	}
	// Each run works the hosts by commands of its own: what a host is owed is the run's.
	hosts, err := hostcmd.Load(p.file)
	if err != nil {
		return nil, err
	}
	got, err := drill.Run(ctx, d, drill.Options{
		Given:  &given.Cluster{Client: p.client, Hosts: hosts, Confirm: func(string) error { return nil }},
		Commit: buildVersion().Commit, Repeat: r.Repeat, Pause: time.Duration(r.Pause * float64(time.Second)), Loads: loads, Progress: say,
		Events: func(e report.Event) { say(eventLine(e)) },
	})
	if got == nil {
		return nil, err // no report that is none
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil
	}
	return got, err
}

// eventLine is an event for people on one line, with its time since the fault.
func eventLine(e report.Event) string {
	return fmt.Sprintf("%7.2f s  %s", e.At, strings.Join(strings.Fields(e.Text), " "))
}

// pageLoads is the value of --load.
func pageLoads(loads []string) string {
	if len(loads) == 0 {
		return "none"
	}
	return strings.Join(loads, ",")
}
