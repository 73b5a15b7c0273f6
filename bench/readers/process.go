package readers

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/vstack/vstack/internal/vstack"
)

// tick is the kernel's unit of processor time, USER_HZ, which is the same everywhere.
const tick = 100

// Memory is what a process has resident now, bytes.
func Memory(pid int) (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	f := strings.Fields(string(body))
	if len(f) < 2 {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, vstack.ErrCorrupt)
	}
	pages, err := strconv.ParseFloat(f[1], 64)
	return pages * float64(os.Getpagesize()), err
}

// Used is the processor time of this process, of those that it has started and that have
// ended, and of the named ones with theirs; seconds.
func Used(pids ...int) (seconds float64, err error) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return 0, err
		}
		seconds += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	for _, pid := range pids {
		s, err := processor(pid)
		if err != nil {
			return 0, err
		}
		seconds += s
	}
	return seconds, nil
}

// processor is the processor time of a process and of its children that have ended, seconds.
func processor(pid int) (float64, error) { return times(pid, 4) }

// cpu is the processor time of a process alone, seconds.
func cpu(pid int) (float64, error) { return times(pid, 2) }

// times adds up the first n of: user, system, the children's user, the children's system.
func times(pid, n int) (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	// The command in parentheses may hold anything; behind it utime is the 12th field.
	const first = 11
	f := strings.Fields(string(body[strings.LastIndexByte(string(body), ')')+1:]))
	if len(f) < first+n {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, vstack.ErrCorrupt)
	}
	ticks := 0.0
	for _, s := range f[first : first+n] {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time of process %d: %w", pid, vstack.ErrCorrupt)
		}
		ticks += v
	}
	return ticks / tick, nil
}
