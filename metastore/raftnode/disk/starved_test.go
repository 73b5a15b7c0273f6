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

// starvedEnv makes a child that does one write through a guard.
const starvedEnv = "VSTACK_TEST_GUARD_STARVED"

// busyLog is a disk that needs as much of the processor for a write: less than the
// child's deadline of 400 ms.
type busyLog struct{ Store }

const busy = 320 * time.Millisecond

func (busyLog) StoreLogs([]*raft.Log) error {
	began := used()
	for used()-began < busy {
	}
	return nil
}

// used is the processor time that the process has had.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func runStarved() int {
	g := NewGuard(busyLog{}, 400*time.Millisecond, 0, func(error) { os.Exit(exitGaveUp) })
	fmt.Println("writing")
	if err := g.StoreLogs(nil); err != nil {
		return 1
	}
	fmt.Println("written")
	return 0
}

// TestAStarvedProcessHasNoHungDisk gives the child a sixth of a processor, in slices that
// are shorter than the guard's ticks: the write takes two seconds, and the disk is well.
func TestAStarvedProcessHasNoHungDisk(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), starvedEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child never wrote")
	}
	ended := make(chan struct{})
	written := false
	go func() {
		defer close(ended)
		written = lines.Scan()
	}()
	signal := func(s syscall.Signal, then time.Duration) {
		_ = cmd.Process.Signal(s) // it may have ended, which is what is waited for
		select {
		case <-ended:
		case <-time.After(then):
		}
	}
	for slices := 0; ; slices++ {
		select {
		case <-ended:
			_ = cmd.Process.Signal(syscall.SIGCONT)
			err := cmd.Wait()
			if err != nil || !written {
				t.Errorf("the guard took want of processor time for a hung disk: %v after %d slices", err, slices)
			}
			t.Logf("written after %d slices", slices)
			return
		default:
		}
		signal(syscall.SIGSTOP, 40*time.Millisecond)
		signal(syscall.SIGCONT, 8*time.Millisecond)
	}
}
