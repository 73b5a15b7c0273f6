package abuse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vstack/vstack/bench/lab/owner"
	"github.com/vstack/vstack/internal/sleep"
)

const (
	// period and share are a quarter of one processor.
	period = 100 * time.Millisecond
	share  = period / 4
)

// quarter holds a process to a quarter of a processor.
type quarter struct {
	dir  string // of the control group; empty where processes are stopped in turn
	stop func()
}

// String says how.
func (q *quarter) String() string {
	if q.dir == "" {
		return "by SIGSTOP for 75 of 100 ms"
	}
	return "by a control group"
}

// holdToAQuarter begins with a process that has done nothing yet.
func holdToAQuarter(pid int) *quarter {
	q := &quarter{stop: func() {}}
	if dir, err := group(pid); err == nil {
		q.dir = dir
		return q
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
			sleep.For(ctx, period-share)
			_ = syscall.Kill(pid, syscall.SIGCONT)
			sleep.For(ctx, share)
		}
	})
	q.stop = func() { cancel(); wg.Wait() }
	return q
}

// end lets go of the process, which may run on.
func (q *quarter) end() { q.stop() }

// close removes what was made, once the process has ended.
func (q *quarter) close() error {
	if q.dir == "" {
		return nil
	}
	for began := time.Now(); ; time.Sleep(period / 10) { // nothing tells of the last process
		err := os.Remove(q.dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Since(began) > 10*time.Second {
			return fmt.Errorf("remove control group: %w", err)
		}
	}
}

// group makes a control group of either version for a process.
func group(pid int) (string, error) {
	name, err := owner.Name()
	if err != nil {
		return "", err
	}
	us := func(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }
	v1, v2 := "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"
	root, files := v1, [][2]string{{"cpu.cfs_period_us", us(period)}, {"cpu.cfs_quota_us", us(share)}}
	if b, err := os.ReadFile(filepath.Join(v2, "cgroup.subtree_control")); err == nil && strings.Contains(string(b), "cpu") {
		root, files = v2, [][2]string{{"cpu.max", us(share) + " " + us(period)}}
	}
	sweep(root)
	dir := filepath.Join(root, name+"-strangers")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for _, f := range append(files, [2]string{"cgroup.procs", strconv.Itoa(pid)}) {
		if err := os.WriteFile(filepath.Join(dir, f[0]), []byte(f[1]), 0o644); err != nil {
			return "", errors.Join(err, os.Remove(dir))
		}
	}
	return dir, nil
}

// sweep removes the groups of drills that are no more.
func sweep(root string) {
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-strangers") && owner.Abandoned(e.Name()) {
			_ = os.Remove(filepath.Join(root, e.Name())) // one that has processes still is left for the next time
		}
	}
}
