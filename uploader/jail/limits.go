//go:build linux

package jail

import (
	"errors"
	"fmt"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// Start starts a child of Command; without a helper it is given its limits then.
func (j Jail) Start(c *exec.Cmd, b Bounds) error {
	if err := c.Start(); err != nil || j.Helper != "" {
		return err
	}
	for _, l := range b.limits(0) {
		err := unix.Prlimit(c.Process.Pid, l.resource, &l.value, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) { // it may have ended already
			_ = c.Process.Kill()
			return errors.Join(fmt.Errorf("limit child %d: %w", c.Process.Pid, err), c.Wait())
		}
	}
	return nil
}

// limit is one resource limit.
type limit struct {
	resource int
	value    unix.Rlimit
}

// limits are the bounds as resource limits. tasks is how many tasks the user has already.
func (b Bounds) limits(tasks int) []limit {
	var out []limit
	add := func(resource int, n int64) {
		out = append(out, limit{resource, unix.Rlimit{Cur: uint64(n), Max: uint64(n)}})
	}
	add(unix.RLIMIT_CORE, 0)
	if b.CPU > 0 {
		s := int64(max(1, (b.CPU+time.Second-1)/time.Second))
		out = append(out, limit{unix.RLIMIT_CPU, unix.Rlimit{Cur: uint64(s), Max: uint64(s + 5)}}) // SIGXCPU, then SIGKILL
	}
	if b.Files > 0 {
		add(unix.RLIMIT_NOFILE, int64(b.Files))
	}
	if b.Output != 0 {
		add(unix.RLIMIT_FSIZE, max(0, b.Output))
	}
	if b.Threads > 0 && tasks > 0 {
		add(unix.RLIMIT_NPROC, int64(b.Threads+tasks))
	}
	if b.Memory > 0 { // last: it also binds who sets it
		add(unix.RLIMIT_AS, b.Memory)
	}
	return out
}
