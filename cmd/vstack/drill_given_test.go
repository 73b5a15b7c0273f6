package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vstack"
)

// hostScript works the hosts below a directory as an operator's commands would. It notes
// what it was asked for. A killed process may stay as a zombie, which runs no program.
const hostScript = `
set -e
dir=%[1]s/lab/hosts/$2
echo "$1 $2" >>%[1]s/commands
runs() { readlink /proc/$(cat $dir/pid)/exe >/dev/null; }
case $1 in
start) %[2]s=1 setsid %[3]s server --config $dir/vstack.yaml >>$dir/log 2>&1 </dev/null & echo $! >$dir/pid ;;
kill) kill -KILL $(cat $dir/pid) ;;
stop) kill -TERM $(cat $dir/pid); while runs; do sleep 0.05; done ;;
pause) kill -STOP $(cat $dir/pid) ;;
resume) kill -CONT $(cat $dir/pid) ;;
esac
`

// givenCluster is a cluster whose hosts are no children of the test.
type givenCluster struct {
	*scenario
	dir, file string
}

func newGivenCluster(t *testing.T) *givenCluster {
	t.Helper()
	needFFmpeg(t)
	dir := t.TempDir()
	l, err := lab.Init(lab.Spec{Dir: filepath.Join(dir, "lab"), FirstIP: loopback.Subnet(t) + ".1", Superblock: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	g := &givenCluster{scenario: &scenario{T: t, lab: l, prog: console.NewProgress(console.ProgressNone, os.Stderr), began: time.Now()}, dir: dir}
	g.write("host.sh", fmt.Sprintf(hostScript, dir, asVstack, os.Args[0]))
	commands := "commands:\n"
	for _, a := range []string{"kill", "stop", "start", "pause", "resume"} {
		commands += fmt.Sprintf("  %s: sh %s/host.sh %s $DRILL_HOST\n", a, dir, a)
	}
	g.file = g.write("hosts.yaml", commands+"hosts: [{id: h1}, {id: h2}, {id: h3}]\n")
	client, err := config.LoadClient(l.Client, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if g.cluster, err = cluster.Open(client, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.cluster.Close)
	t.Cleanup(g.killAll)
	for _, h := range l.Hosts {
		g.script("start", string(h.ID))
	}
	g.until("every role to be ready", func() bool { return g.roles(t.Context()) == 3*4 })
	g.step("the cluster runs")
	return g
}

func (g *givenCluster) write(name, text string) string {
	g.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.Fatal(err)
	}
	return path
}

func (g *givenCluster) script(action, host string) {
	g.Helper()
	if out, err := exec.Command("sh", filepath.Join(g.dir, "host.sh"), action, host).CombinedOutput(); err != nil {
		g.Fatalf("%s %s: %v: %s", action, host, err, out)
	}
}

// roles counts those that are ready, once all stores are up.
func (g *givenCluster) roles(ctx context.Context) (n int) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, h := range g.lab.Hosts {
		self, _ := h.Config.Self()
		for _, addr := range []string{self.API, h.Config.Data.Stores[0].Addr, h.Config.Data.Stores[1].Addr, h.Config.Ingest.Addr} {
			if g.cluster.Get(ctx, addr, "/readyz", nil) == nil {
				n++
			}
		}
	}
	nodes, err := g.cluster.Meta.Nodes(ctx)
	if err != nil || len(nodes) != 3 {
		return 0
	}
	for _, node := range nodes {
		if node.State != vstack.StoreUp {
			return 0
		}
	}
	return n
}

// pid of a host's last run; 0 when it has ended.
func (g *givenCluster) pid(h *lab.Host) int {
	body, err := os.ReadFile(filepath.Join(h.Dir, "pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil {
		g.Fatal(err)
	}
	if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil {
		return 0
	}
	return pid
}

// working counts the hosts that run and that no SIGSTOP has stopped.
func (g *givenCluster) working() (n int) {
	for _, h := range g.lab.Hosts {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.pid(h)))
		if err == nil && !bytes.Contains(stat, []byte(") T ")) {
			n++
		}
	}
	return n
}

func (g *givenCluster) killAll() {
	for _, h := range g.lab.Hosts {
		if pid := g.pid(h); pid != 0 {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				g.Error(err)
			}
		}
	}
	for _, h := range g.lab.Hosts {
		for g.pid(h) != 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	g.end()
}

// commands are what the script was asked for since the last call.
func (g *givenCluster) commands() string {
	g.Helper()
	path := filepath.Join(g.dir, "commands")
	body, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		g.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		g.Fatal(err)
	}
	return string(body)
}

// videos are all that the catalog lists, in every state.
func (g *givenCluster) videos() []vstack.Video {
	g.Helper()
	var all []vstack.Video
	for _, state := range []vstack.VideoState{vstack.VideoPublished, vstack.VideoUploading, vstack.VideoFailed} {
		list, err := g.cluster.Videos(g.Context(), state, 0)
		if err != nil {
			g.Fatal(err)
		}
		all = append(all, list...)
	}
	return all
}

// args are those of a drill of the cluster.
func (g *givenCluster) args(name string, more ...string) []string {
	return append([]string{name, "--cluster", g.lab.Client, "--hosts", g.file}, more...)
}

func TestDrillOfGivenHosts(t *testing.T) {
	long(t)
	g := newGivenCluster(t)
	job, err := g.cluster.Upload(t.Context(), g.prog, clip(t, "2", "0"), cluster.UploadOptions{Title: "drill of my own"})
	if err != nil {
		t.Fatal(err)
	}
	g.converged(job.Video)
	mine := g.videos()
	g.commands()
	g.refuses()

	tmp := t.TempDir()
	r, said, code := runDrill(t, tmp, g.args("kill-leader", "--repeat", "2", "--load", "meta", "--yes", "--assert", "operations>20")...)
	if code != console.ExitOK || len(r.Repetitions) != 2 || len(r.Failures) > 0 || len(r.Given) != 3 {
		t.Fatalf("exit code %d, %d repetitions, failures %v\n%s", code, len(r.Repetitions), r.Failures, said)
	}
	var want string
	for _, rep := range r.Repetitions {
		want += fmt.Sprintf("kill %s\nstart %s\n", rep.Victims[0], rep.Victims[0])
		if rep.LeaderGap == nil || rep.FirstWrite == nil || rep.Heal == nil {
			t.Errorf("a figure is absent: %+v", rep)
		}
	}
	if diff := cmp.Diff(want, g.commands()); diff != "" {
		t.Errorf("commands: %s", diff)
	}
	g.step("two leaders killed")

	r, said, code = runDrill(t, tmp, g.args("pause-leader", "--pause", "300ms", "--load", "meta,upload", "--yes")...)
	if code != console.ExitOK || len(r.Repetitions) != 1 || g.working() != 3 {
		t.Fatalf("exit code %d, %d repetitions, %d hosts work\n%s", code, len(r.Repetitions), g.working(), said)
	}
	g.step("a leader paused")
	g.interrupted(tmp, "pause-leader")
	g.interrupted(tmp, "kill-host")
	if diff := cmp.Diff(mine, g.videos()); diff != "" {
		t.Errorf("the cluster's own videos: %s", diff)
	}
	g.converged(job.Video)
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v %v", left, err)
	}

	g.script("kill", "h2")
	g.commands()
	g.refused("a cluster without a member", console.ExitDegraded, "h2", g.args("kill-leader", "--load", "meta", "--yes")...)
}

// interrupted ends a drill in the middle of a fault of half a minute.
func (g *givenCluster) interrupted(tmp, drill string) {
	g.Helper()
	cmd := exec.CommandContext(g.Context(), os.Args[0], append([]string{"drill", "run"}, g.args(drill, "--pause", "30s", "--load", "meta", "--yes")...)...)
	cmd.Env = append(os.Environ(), asVstack+"=1", "TMPDIR="+tmp)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		g.Fatal(err)
	}
	g.until("a host to be hurt", func() bool { return g.working() == 2 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		g.Fatal(err)
	}
	_ = cmd.Wait() // the exit code tells
	if code := cmd.ProcessState.ExitCode(); code != 130 || g.working() != 3 {
		g.Fatalf("%s: exit code %d, %d hosts work, %s\n%s", drill, code, g.working(), g.commands(), said.String())
	}
	g.step("%s interrupted", drill)
}

// refuses tells what a drill finds wrong before it does anything.
func (g *givenCluster) refuses() {
	g.Helper()
	two := g.write("two.yaml", "commands: {kill: x, start: x}\nhosts: [{id: h1}, {id: h2}]\n")
	strange := g.write("strange.yaml", "commands: {kill: x, start: x}\nhosts: [{id: h1}, {id: h2}, {id: h3}, {id: h4}]\n")
	lacking := g.write("lacking.yaml", "commands: {kill: x}\nhosts: [{id: h1, start: x}, {id: h2}, {id: h3, start: x}]\n")
	hosts := func(file string) []string {
		return []string{"kill-leader", "--cluster", g.lab.Client, "--hosts", file, "--load", "meta", "--yes"}
	}
	g.refused("without --yes", console.ExitUsage, "--yes", g.args("kill-leader", "--load", "meta")...)
	g.refused("with a directory", console.ExitUsage, "given hosts", g.args("kill-leader", "--yes", "--dir", g.dir)...)
	g.refused("a drill that needs other commands", console.ExitUsage, "host h1 has no command to cut, heal; host h2", g.args("partition", "--load", "meta", "--yes")...)
	g.refused("a host that lacks a command", console.ExitUsage, "host h2 has no command to start", hosts(lacking)...)
	g.refused("a file without a host of the cluster", console.ExitUsage, "host h3", hosts(two)...)
	g.refused("a host that the cluster does not have", console.ExitUsage, "h4", hosts(strange)...)
	g.refused("no such file", console.ExitNotFound, "none.yaml", hosts(filepath.Join(g.dir, "none.yaml"))...)
}

func (g *givenCluster) refused(name string, code int, word string, args ...string) {
	g.Helper()
	var out, errOut bytes.Buffer
	got := run(append([]string{"drill", "run"}, args...), &out, &errOut)
	if got != code || !strings.Contains(errOut.String(), word) || out.Len() > 0 {
		g.Errorf("%s: exit code %d, want %d; said %q, printed %q", name, got, code, errOut.String(), out.String())
	}
	if did := g.commands(); did != "" {
		g.Errorf("%s: it did %q", name, did)
	}
}
