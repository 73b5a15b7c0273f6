package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/hostcmd"
)

// TestTheHostsFileWorksTheHosts kills, pauses and ends processes by the commands of the file,
// in a directory whose name a shell would take apart.
func TestTheHostsFileWorksTheHosts(t *testing.T) {
	l := &Lab{Dir: filepath.Join(t.TempDir(), "a lab's; $(false)"), Hosts: []*Host{{ID: "h1"}, {ID: "h2"}}}
	p := stray(t, l, "h1")
	file, err := l.WriteHostsFile()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := hostcmd.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(hosts.Hosts) != 2 {
		t.Fatalf("%d hosts", len(hosts.Hosts))
	}
	if err := hosts.Want(hostcmd.Kill, hostcmd.Stop, hostcmd.Start, hostcmd.Pause, hostcmd.Resume); err != nil {
		t.Fatal(err)
	}
	h1 := hosts.Host("h1")
	do := func(a hostcmd.Action) {
		t.Helper()
		if err := h1.Do(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	do(hostcmd.Start) // it runs
	do(hostcmd.Pause)
	p.until(t, "stopped", func(state string) bool { return state == "T" })
	do(hostcmd.Resume)
	p.until(t, "running again", func(state string) bool { return state != "T" })
	do(hostcmd.Kill)
	if sig := p.end(t); sig.String() != "killed" {
		t.Errorf("it ended by %v", sig)
	}
	p = stray(t, l, "h1")
	do(hostcmd.Stop)
	if sig := p.end(t); sig.String() != "terminated" {
		t.Errorf("it ended by %v", sig)
	}
	if err := hosts.Host("h2").Do(t.Context(), hostcmd.Kill); err == nil {
		t.Error("a host that does not run was killed")
	}
}

// sleeper stands in for a host's.
type sleeper struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// stray starts a process and notes its number as a host's.
func stray(t *testing.T, l *Lab, host string) *sleeper {
	t.Helper()
	p := &sleeper{cmd: exec.Command("sleep", "600"), done: make(chan struct{})}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is asked of its state
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
	})
	dir := filepath.Join(l.Dir, "hosts", host)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pid"), fmt.Appendln(nil, p.cmd.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// until waits for the kernel's letter for it: a signal takes a moment.
func (p *sleeper) until(t *testing.T, what string, is func(state string) bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, state, _ := strings.Cut(string(b), ") ")
		if is(state[:1]) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it is not %s: %s", what, state[:1])
		}
	}
}

// end is the signal that ended it.
func (p *sleeper) end(t *testing.T) syscall.Signal {
	t.Helper()
	<-p.done
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal()
}
