package abuse

import (
	"fmt"
	"os"

	"github.com/vstack/vstack/bench/players"
)

// forgetPeak has the kernel count a process's largest memory from now on.
func forgetPeak(pid int) error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("begin to count the memory of process %d: %w", pid, err)
	}
	return nil
}

// peak is the largest memory of a process since then, in bytes.
func peak(pid int) (int64, error) {
	b, err := players.PeakMemory(pid)
	return int64(b), err
}
