package hostcmd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const good = `
timeout: 5s
commands:
  kill: ssh "$DRILL_HOST" systemctl kill --signal=SIGKILL vstack
  start: |
    ssh "$DRILL_HOST" systemctl reset-failed vstack
    ssh "$DRILL_HOST" systemctl start vstack
hosts:
  - id: h1
  - id: h2
    kill: power h2 off
    cut_sends: drop h2 out
`

func TestAHostHasItsOwnCommandsBesideThoseOfAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.yaml")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	h1, h2 := f.Host("h1"), f.Host("h2")
	if len(f.Hosts) != 2 || h1.commands[Kill] != `ssh "$DRILL_HOST" systemctl kill --signal=SIGKILL vstack` || h2.commands[Kill] != "power h2 off" {
		t.Errorf("%+v %+v", h1, h2)
	}
	if !h1.Has(Start) || h1.Has(CutSends) || !h2.Has(CutSends) || h2.timeout != 5*time.Second || f.Host("h3") != nil {
		t.Errorf("%+v %+v", h1, h2)
	}
	if err := f.Want(Kill, Start); err != nil {
		t.Error(err)
	}
	err = f.Want(Start, Pause, CutSends)
	if !errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), "host h1 has no command to pause, cut_sends; host h2 has no command to pause") {
		t.Error(err)
	}
}

func TestWhatIsNoFileOfHostsIsRefused(t *testing.T) {
	many := "hosts:\n" + strings.Repeat("  - id: h\n", maxHosts+1)
	for name, tc := range map[string]struct{ text, word string }{
		"empty":                  {"", ""},
		"no hosts":               {"timeout: 1s\n", "0 hosts"},
		"too many hosts":         {many, "65 hosts"},
		"too long":               {"# " + strings.Repeat("x", maxFile), "more than"},
		"no YAML":                {"hosts: [", ""},
		"an unknown key":         {"hosts: [{id: h1}]\nhost: h1\n", "host not found"},
		"a key twice":            {"hosts: [{id: h1, kill: a, kill: b}]\n", "kill"},
		"an action that is none": {"hosts: [{id: h1, explode: x}]\n", `"explode"`},
		"one for all":            {"commands: {explode: x}\nhosts: [{id: h1}]\n", `commands: "explode"`},
		"an empty command":       {"hosts: [{id: h1, kill: ' '}]\n", "host h1: kill"},
		"a command that is none": {"hosts: [{id: h1, kill: [a, b]}]\n", ""},
		"too long a command":     {"hosts: [{id: h1, kill: " + strings.Repeat("x", maxCommand+1) + "}]\n", "4096 bytes"},
		"a zero byte":            {"hosts: [{id: h1, kill: \"a\\0b\"}]\n", "zero byte"},
		"a host without a name":  {"hosts: [{kill: a}]\n", "host"},
		"a name that is none":    {"hosts: [{id: H_1}]\n", "H_1"},
		"a host twice":           {"hosts: [{id: h1}, {id: h1}]\n", "named twice"},
		"a time that is none":    {"timeout: 7\nhosts: [{id: h1}]\n", `timeout "7"`},
		"too short a time":       {"timeout: 1ms\nhosts: [{id: h1}]\n", "100ms"},
		"too long a time":        {"timeout: 1h\nhosts: [{id: h1}]\n", "10m"},
		"two documents":          {"hosts: [{id: h1}]\n---\nhosts: [{id: h2}]\n", "document"},
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := Parse([]byte(tc.text)); !errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), tc.word) {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, vstack.ErrNotFound) {
		t.Error(err)
	}
}

// FuzzParse holds that what is read can be relied upon.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil {
			if !errors.Is(err, vstack.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if len(file.Hosts) < 1 || len(file.Hosts) > maxHosts {
			t.Fatalf("%d hosts", len(file.Hosts))
		}
		for i, h := range file.Hosts {
			if file.Host(h.ID) != file.Hosts[i] || h.timeout < minTimeout || h.timeout > maxTimeout {
				t.Fatalf("host %+v", h)
			}
			for a, text := range h.commands {
				if file.Want(a) == nil && !h.Has(a) || strings.TrimSpace(text) == "" || len(text) > maxCommand {
					t.Fatalf("host %s: %s %q", h.ID, a, text)
				}
			}
		}
	})
}
