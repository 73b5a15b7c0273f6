package jail

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Name is how the helper is called; Enter knows itself by it.
const Name = "vstack-jail"

// Self is a path of this very program, also after its file was replaced by an upgrade.
const Self = "/proc/self/exe"

// Failed is the helper's exit code where the program could not be started.
const Failed = 125

// Bounds are what a child may use. A zero field is no bound.
type Bounds struct {
	Memory  int64         // address space, bytes
	CPU     time.Duration // of the processor; whole seconds
	Files   int           // open descriptors
	Threads int           // tasks; of all children where they have a user of their own
	Output  int64         // of a file that it writes, bytes; NoOutput for none
	Wall    time.Duration // from start to end; kept by who starts it
}

// NoOutput as Bounds.Output keeps a child from writing files; pipes are no files.
const NoOutput = -1

// Jail says how children are confined. The zero value sets limits only.
type Jail struct {
	// Helper is a program that calls Enter first, normally Self.
	Helper string
	// User is the account that children run as where this process is root. Default
	// "nobody". "root" keeps them root.
	User string
}

// order is what the helper is told, as JSON.
type order struct {
	Parent  int    `json:"parent"`
	Bounds  Bounds `json:"bounds"`
	Input   string `json:"input"`
	Program string `json:"program"`
	UID     int    `json:"uid"` // 0: stay
	GID     int    `json:"gid"`
}

// Command prepares a child that may read one file, "" for none. Where input stands in
// args, the jail puts its descriptor's path. Start it through Start.
func (j Jail) Command(ctx context.Context, b Bounds, input, program string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", program, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("find %s: %w", program, err)
	}
	if j.Helper == "" {
		return exec.CommandContext(ctx, path, args...), nil
	}
	o := order{Parent: os.Getpid(), Bounds: b, Input: input, Program: path}
	if os.Geteuid() == 0 && j.User != "root" {
		o.UID, o.GID = lookUser(orNobody(j.User))
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("jail: %w", err)
	}
	c := exec.CommandContext(ctx, j.Helper, append([]string{string(text)}, args...)...)
	c.Args[0] = Name
	return c, nil
}

func orNobody(name string) string {
	if name == "" {
		return "nobody"
	}
	return name
}

// lookUser is an account's numbers, 0 where there is none.
func lookUser(name string) (uid, gid int) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return uid, gid
}

// Exceeded says which bound ended a child, as ErrMediaUnfit; nil if none did that can be
// told from outside. said is what it wrote to standard error.
func (b Bounds) Exceeded(state *os.ProcessState, said string) error {
	if state == nil {
		return nil
	}
	ws, ok := state.Sys().(syscall.WaitStatus)
	used := state.UserTime() + state.SystemTime()
	switch {
	case !ok:
		return nil
	case ws.Signaled() && (ws.Signal() == syscall.SIGXCPU || b.CPU > 0 && used >= b.CPU):
		return fmt.Errorf("%w: it takes more than %s of processor time", vstack.ErrMediaUnfit, b.CPU)
	case b.Memory > 0 && outOfMemory(ws, said):
		return fmt.Errorf("%w: it takes more than %d MiB of memory", vstack.ErrMediaUnfit, b.Memory>>20)
	case b.Threads > 0 && ws.Exited() && ws.ExitStatus() != 0 && containsAny(said, "pthread_create", "Resource temporarily unavailable"):
		return fmt.Errorf("%w: it takes more than %d threads", vstack.ErrMediaUnfit, b.Threads)
	}
	return nil
}

// outOfMemory tells from what a program says, and from how it dies when it does not ask
// whether it got the memory.
func outOfMemory(ws syscall.WaitStatus, said string) bool {
	if ws.Exited() && ws.ExitStatus() == 0 {
		return false
	}
	return containsAny(said, "Cannot allocate memory", "malloc of size", "Out of memory", "ENOMEM") ||
		ws.Signaled() && (ws.Signal() == syscall.SIGSEGV || ws.Signal() == syscall.SIGABRT)
}

func containsAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
