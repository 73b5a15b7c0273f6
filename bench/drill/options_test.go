package drill

import (
	"errors"
	"strings"
	"testing"

	"github.com/vstack/vstack/bench/drill/given"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/vstack"
)

func TestADrillOfGivenHostsIsRefusedWithoutItsCommands(t *testing.T) {
	f, err := hostcmd.Parse([]byte("commands: {kill: 'true', stop: 'true', start: 'true', pause: 'true', resume: 'true'}\nhosts: [{id: h1}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Loads: []report.Load{}, Given: &given.Cluster{Hosts: f, Client: &config.Client{}, Confirm: func(string) error { return nil }}}
	for _, d := range Drills() {
		_, err := Run(t.Context(), d, opt)
		if !errors.Is(err, vstack.ErrInvalid) && f.Want(d.commands...) != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		if d.commands == nil && !strings.Contains(err.Error(), "lab of its own") {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
	opt.Given.Confirm = nil
	if _, err := Run(t.Context(), Drills()[0], opt); !errors.Is(err, vstack.ErrInvalid) {
		t.Error(err)
	}
}
