package readers

import (
	"fmt"
	"os"
	"strconv"
	"strings"

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

// cpu is the processor time of a process, seconds.
func cpu(pid int) (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	// The command in parentheses may hold anything; behind it utime is the 12th field.
	f := strings.Fields(string(body[strings.LastIndexByte(string(body), ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, vstack.ErrCorrupt)
	}
	user, uerr := strconv.ParseFloat(f[11], 64)
	system, serr := strconv.ParseFloat(f[12], 64)
	if uerr != nil || serr != nil {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, vstack.ErrCorrupt)
	}
	return (user + system) / tick, nil
}
