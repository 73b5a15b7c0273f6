package disk

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// stoppedEnv makes a child that writes through a guard all the time.
const stoppedEnv = "VSTACK_TEST_GUARD_CHILD"

// lazyLog takes a fifth of a second for each write, half of the child's deadline, and in
// steps, so that some of it is left after a stop.
type lazyLog struct{ Store }

func (lazyLog) StoreLogs([]*raft.Log) error {
	for range 10 {
		<-time.After(20 * time.Millisecond)
	}
	return nil
}

// exitGaveUp ends a child whose guard gave up.
const exitGaveUp = 3

// runStopped prints a line for each write, and exits when the guard gives up.
func runStopped() int {
	g := NewGuard(lazyLog{}, 400*time.Millisecond, 0, func(error) { os.Exit(exitGaveUp) })
	for {
		if err := g.StoreLogs(nil); err != nil {
			return 1
		}
		fmt.Println("written")
	}
}

// A process that is stopped is in the middle of a write: the child writes all the time.
func TestAStoppedProcessHasNoHungDisk(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), stoppedEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, or what the test has seen
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child never wrote")
	}
	for range 3 {
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		stopped := time.NewTimer(600 * time.Millisecond) // longer than the deadline
		<-stopped.C
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		// The write that was under way, one that may have been printed before the stop,
		// and the next.
		for range 3 {
			if !lines.Scan() {
				t.Fatal("the guard took the stop for a hung disk")
			}
		}
	}
}
