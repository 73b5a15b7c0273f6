package rolling

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// hosts is a cluster whose hosts are files: one that runs has its program's version in it.
type hosts struct {
	t     *testing.T
	dir   string
	asked int
	// refuse are how many questions are answered with no.
	refuse int
	// behind are how many looks at a member find it behind.
	behind int
	away   func(up map[string]string) // is told at each question who is up
	clock  time.Time
	seen   map[string]time.Time
}

func (h *hosts) up() map[string]string {
	out := map[string]string{}
	for _, id := range []string{"h1", "h2", "h3"} {
		if b, err := os.ReadFile(filepath.Join(h.dir, id)); err == nil {
			out[id] = strings.TrimSpace(string(b))
		}
	}
	if h.away != nil {
		h.away(out)
	}
	return out
}

func (h *hosts) OKToStop(_ context.Context, host vstack.HostID) (wire.OKToStop, error) {
	if up := h.up(); len(up) != 3 {
		h.t.Errorf("%s is to be stopped beside %v", host, up)
	}
	if h.asked++; h.asked <= h.refuse {
		return wire.OKToStop{Host: host, Reasons: []string{fmt.Sprintf("reason %d", (h.asked+1)/2)}}, nil
	}
	return wire.OKToStop{Host: host, OK: true}, nil
}

func (h *hosts) RaftStatus(context.Context) (wire.RaftStatus, error) {
	st := wire.RaftStatus{Leader: "h1"}
	up := h.up()
	for _, id := range []string{"h1", "h2", "h3"} {
		p := wire.RaftPeer{ID: id, Reached: up[id] != ""}
		if h.behind > 0 && up[id] == "new" {
			h.behind--
			p.Behind = 3
		}
		st.Peers = append(st.Peers, p)
	}
	return st, nil
}

func (h *hosts) Nodes(context.Context) (out []wire.Node, err error) {
	h.clock = h.clock.Add(time.Second)
	up := h.up()
	for _, id := range []string{"h1", "h2", "h3"} {
		if up[id] != "" {
			h.seen[id] = h.clock
		}
		n := wire.Node{Host: vstack.HostID(id), Version: up[id], LastSeen: h.seen[id]}
		n.Stores = []wire.NodeStore{{Store: vstack.Store{State: vstack.StoreUp}, Report: &wire.StoreReport{}}}
		out = append(out, n)
	}
	return out, nil
}

// rig is three hosts that run "old", and commands of which upgrade is given.
func rig(t *testing.T, upgrade string) (*hosts, Options, *[]string) {
	t.Helper()
	h := &hosts{t: t, dir: t.TempDir(), seen: map[string]time.Time{}}
	for _, id := range []string{"h1", "h2", "h3"} {
		if err := os.WriteFile(filepath.Join(h.dir, id), []byte("old\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf(`
timeout: 60s
commands:
  stop: mv %[1]s/$DRILL_HOST %[1]s/$DRILL_HOST.down
  upgrade: "%[2]s"
  start: mv %[1]s/$DRILL_HOST.down %[1]s/$DRILL_HOST
hosts: [{id: h1}, {id: h2}, {id: h3}]
`, h.dir, strings.ReplaceAll(upgrade, "DIR", h.dir))
	f, err := hostcmd.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	return h, Options{Cluster: h, Hosts: f.Hosts, Wait: time.Minute, Look: time.Millisecond, Say: func(host vstack.HostID, what string) {
		said = append(said, string(host)+" "+what)
	}}, &said
}

const install = "echo new >DIR/$DRILL_HOST.down"

func TestHostsAreExchangedOneByOneTheLeaderLast(t *testing.T) {
	h, o, said := rig(t, install)
	h.refuse, h.behind = 4, 2
	h.away = func(up map[string]string) {
		if len(up) < 2 {
			t.Errorf("only %v are up", up)
		}
	}
	done, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, d := range done {
		order = append(order, string(d.Host))
		if d.Before != "old" || d.After != "new" || d.Skipped {
			t.Errorf("%+v", d)
		}
	}
	if got := strings.Join(order, " "); got != "h2 h3 h1" {
		t.Errorf("in the order %s", got)
	}
	all := strings.Join(*said, "\n")
	for _, want := range []string{"h2 waits to be stopped: reason 1\nh2 waits to be stopped: reason 2\nh2 stops\nh2 is upgraded\nh2 starts\n", "h2 is not back: its member is behind\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("not said: %q in\n%s", want, all)
		}
	}
}

func TestAHostThatCannotBeUpgradedIsStartedAgainAndTheLast(t *testing.T) {
	h, o, _ := rig(t, "echo no such package; exit 3")
	done, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "no such package") {
		t.Errorf("%v", err)
	}
	if up := h.up(); len(up) != 3 || up["h2"] != "old" {
		t.Errorf("up: %v", up)
	}
	if len(done) != 3 || done[0].Skipped || !done[1].Skipped || !done[2].Skipped {
		t.Errorf("%+v", done)
	}
}

func TestNobodyIsStoppedAgainstTheClustersWord(t *testing.T) {
	h, o, _ := rig(t, install)
	h.refuse, o.Wait = 1<<30, 50*time.Millisecond
	done, err := Run(t.Context(), o)
	if !errors.Is(err, vstack.ErrTimeout) || !strings.Contains(err.Error(), "reason") {
		t.Errorf("%v", err)
	}
	if up := h.up(); len(up) != 3 || !done[0].Skipped {
		t.Errorf("%v, %+v", up, done)
	}
}

func TestWhoIsInterruptedLeavesNoHostStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h, o, _ := rig(t, install)
	o.Say = func(_ vstack.HostID, what string) {
		if what == "is upgraded" {
			cancel()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if up := h.up(); len(up) != 3 {
		t.Errorf("up: %v", up)
	}
}

func TestWhatCannotWorkIsRefusedBeforeItBegins(t *testing.T) {
	_, o, said := rig(t, install)
	f, err := hostcmd.Parse([]byte("hosts: [{id: h9, stop: 'true', start: 'true'}]"))
	if err != nil {
		t.Fatal(err)
	}
	o.Hosts = f.Hosts
	if _, err := Run(t.Context(), o); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("a host that nobody knows: %v", err)
	}
	if f, err = hostcmd.Parse([]byte("hosts: [{id: h1, start: 'true'}]")); err != nil {
		t.Fatal(err)
	}
	o.Hosts = f.Hosts
	if _, err := Run(t.Context(), o); !errors.Is(err, vstack.ErrInvalid) || len(*said) > 0 {
		t.Errorf("no command to stop: %v", err)
	}
}
