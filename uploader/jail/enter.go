//go:build linux

package jail

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter becomes the jailed program if this process was started as the helper, and does
// not return then. Otherwise it does nothing. It belongs first in main, and in TestMain of
// tests that name their own binary as Helper.
func Enter() {
	if len(os.Args) < 2 || os.Args[0] != Name {
		return
	}
	err := enter(os.Args[1], os.Args[2:])
	fmt.Fprintln(os.Stderr, "jail:", err)
	os.Exit(Failed)
}

// enter returns only when it could not become the program.
func enter(text string, args []string) error {
	runtime.LockOSThread()
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	input := ""
	if o.Input != "" {
		f, err := o.open()
		if err != nil {
			return err
		}
		input = fmt.Sprintf("/proc/self/fd/%d", f)
		for i, a := range args {
			args[i] = strings.ReplaceAll(a, o.Input, input)
		}
	}
	tasks := 0
	if uid := max(o.UID, os.Getuid()); uid != 0 { // root has no limit on its tasks
		tasks = max(1, tasksOf(uid))
	}
	// Only a wish: in some containers the file is not writable.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	// While this user may still find the input's path.
	if err := confineFiles(o); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if o.UID != 0 {
		if err := become(o.UID, o.GID); err != nil {
			return err
		}
	}
	// A change of user takes the parent's death signal away.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("death signal: %w", err)
	}
	if os.Getppid() != o.Parent {
		return fmt.Errorf("process %d is gone", o.Parent)
	}
	if err := confineCalls(); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	for _, l := range o.Bounds.limits(tasks) {
		if err := unix.Setrlimit(l.resource, &l.value); err != nil {
			return fmt.Errorf("limit %d to %d: %w", l.resource, l.value.Cur, err)
		}
	}
	err := syscall.Exec(o.Program, append([]string{filepath.Base(o.Program)}, args...), os.Environ())
	return fmt.Errorf("start %s: %w", o.Program, err)
}

// open opens the input while it still may, and has it survive the exec. The program opens
// it again by its descriptor's path, as its own user.
func (o order) open() (int, error) {
	fd, err := unix.Open(o.Input, unix.O_RDONLY, 0)
	if err != nil {
		return 0, fmt.Errorf("open input: %w", err)
	}
	if o.UID == 0 {
		return fd, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, fmt.Errorf("stat input: %w", err)
	}
	// Its directory is closed to others; the jailed user needs no way to it.
	if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o004 == 0 {
		if err := unix.Fchmod(fd, st.Mode&0o777|0o004); err != nil {
			return 0, fmt.Errorf("let the jailed user read the input: %w", err)
		}
	}
	return fd, nil
}

// become gives up root.
func become(uid, gid int) error {
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("group %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("user %d: %w", uid, err)
	}
	return nil
}

// tasksOf counts the tasks of a user, which the limit on threads counts together.
func tasksOf(uid int) (n int) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 1
	}
	for _, d := range dirs {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		status, err := os.ReadFile("/proc/" + d.Name() + "/status")
		if err != nil {
			continue
		}
		if field(status, "Uid:") == strconv.Itoa(uid) {
			if k, err := strconv.Atoi(field(status, "Threads:")); err == nil {
				n += k
			}
		}
	}
	return n
}

// field is the first word behind a name in /proc's form.
func field(status []byte, name string) string {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if words := bytes.Fields(rest); len(words) > 0 {
				return string(words[0])
			}
		}
	}
	return ""
}

// interpreter is the loader of a dynamic program; ok is false for what is no program of
// its own, a script.
func interpreter(program string) (loader string, ok bool) {
	f, err := elf.Open(program)
	if err != nil {
		return "", false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			b := make([]byte, p.Filesz)
			if _, err := p.ReadAt(b, 0); err == nil {
				return string(bytes.TrimRight(b, "\x00")), true
			}
		}
	}
	return "", true
}
