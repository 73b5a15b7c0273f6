package memcap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/bench/lab/owner"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// step is what a limit grows by that the kernel cannot reach.
	step = 4 << 20
	// closeTimeout bounds the wait for the last process of a group to be gone.
	closeTimeout = 10 * time.Second
	closePause   = 20 * time.Millisecond
)

// version is where a version of control groups keeps things.
type version struct {
	root, limit, usage, none string
}

var (
	v2 = version{"/sys/fs/cgroup", "memory.max", "memory.current", "max"}
	v1 = version{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "-1"}
)

// here is the version of this machine.
func here() (version, error) {
	if b, err := os.ReadFile(filepath.Join(v2.root, "cgroup.subtree_control")); err == nil && strings.Contains(string(b), "memory") {
		return v2, nil
	}
	if _, err := os.Stat(filepath.Join(v1.root, v1.limit)); err == nil {
		return v1, nil
	}
	return version{}, fmt.Errorf("memory control groups: %w", vstack.ErrNotFound)
}

// Available tells why there can be no Group here; nil when there can.
func Available() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("memory control groups: %w: only root may make them", vstack.ErrForbidden)
	}
	_, err := here()
	return err
}

// Group is a control group.
type Group struct {
	dir string
	v   version
}

// Make makes a group of a name.
func Make(name string) (*Group, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	v, err := here()
	if err != nil {
		return nil, err
	}
	prefix, err := owner.Name()
	if err != nil {
		return nil, err
	}
	g := &Group{dir: filepath.Join(v.root, prefix+"-"+name), v: v}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	return g, nil
}

// Take puts a process into the group, and with it all that it starts later.
func (g *Group) Take(pid int) error {
	return g.write("cgroup.procs", strconv.Itoa(pid))
}

// Tighten lowers the group's limit to what it uses, or as near as the kernel can come,
// until Loosen. It returns the limit.
func (g *Group) Tighten() (int64, error) {
	b, err := os.ReadFile(filepath.Join(g.dir, g.v.usage))
	if err != nil {
		return 0, fmt.Errorf("read use of memory: %w", err)
	}
	used, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read use of memory: %w: %q", vstack.ErrCorrupt, b)
	}
	// What files have in memory can be taken back, so that the least is well below the use.
	for limit := used / 2; ; limit += step {
		err := g.write(g.v.limit, strconv.FormatInt(limit, 10))
		if err == nil {
			return limit, nil
		}
		if !errors.Is(err, syscall.EBUSY) || limit > 2*used+step {
			return 0, err
		}
	}
}

// Loosen takes the limit away.
func (g *Group) Loosen() error { return g.write(g.v.limit, g.v.none) }

// Close removes the group, once its processes have ended.
func (g *Group) Close() error {
	for began := time.Now(); ; time.Sleep(closePause) { // nothing tells of the last process
		err := os.Remove(g.dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Since(began) > closeTimeout {
			return fmt.Errorf("remove control group: %w", err)
		}
	}
}

// Sweep removes the groups of processes that are no more. One that has processes still
// is left for the next time.
func Sweep() error {
	v, err := here()
	if err != nil {
		return nil // there were none
	}
	entries, err := os.ReadDir(v.root)
	if err != nil {
		return fmt.Errorf("list control groups: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !owner.Abandoned(e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(v.root, e.Name())); err != nil && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove control group: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (g *Group) write(file, value string) error {
	// One write, without a truncation before it.
	f, err := os.OpenFile(filepath.Join(g.dir, file), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("control group: set %s to %s: %w", file, value, err)
	}
	return nil
}
