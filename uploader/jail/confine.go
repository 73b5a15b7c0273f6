//go:build linux

package jail

import (
	"fmt"
	"path/filepath"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

const (
	readFile = landlock.AccessFSSet(ll.AccessFSReadFile)
	readDir  = landlock.AccessFSSet(ll.AccessFSReadDir)
	execute  = landlock.AccessFSSet(ll.AccessFSExecute)
)

// confineFiles leaves the program its input, itself, and what the loader loads; and no TCP.
func confineFiles(o order) error {
	rules := []landlock.Rule{
		landlock.PathAccess(readFile|readDir, "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib").IgnoreIfMissing(),
		landlock.PathAccess(readFile, "/etc/ld.so.cache", "/etc/ld.so.preload", "/dev/null", "/dev/urandom", "/proc/cpuinfo", "/sys/devices/system/cpu/online").IgnoreIfMissing(),
	}
	real, err := filepath.EvalSymlinks(o.Program)
	if err != nil {
		return fmt.Errorf("program: %w", err)
	}
	rules = append(rules, landlock.PathAccess(readFile|execute, real))
	loader, ok := interpreter(real)
	switch {
	case !ok: // a script may run what the system has
		rules = append(rules, landlock.PathAccess(readFile|readDir|execute, "/bin", "/usr", "/opt", "/lib", "/lib64").IgnoreIfMissing())
	case loader != "":
		if loader, err = filepath.EvalSymlinks(loader); err == nil {
			rules = append(rules, landlock.PathAccess(readFile|execute, loader))
		}
	}
	// A program that was unpacked somewhere brings its libraries along.
	rules = append(rules, landlock.PathAccess(readFile|readDir, filepath.Join(filepath.Dir(filepath.Dir(real)), "lib")).IgnoreIfMissing())
	if o.Input != "" {
		rules = append(rules, landlock.PathAccess(readFile, o.Input))
	}
	return landlock.V8.BestEffort().Restrict(rules...)
}

// allowed are the calls that a decoder makes: memory, threads, time, and reading and
// writing what is open. There is no network, no other process and nothing to administrate
// among them. Some exist on some processors only.
var allowed = []string{
	"read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "close", "lseek", "fcntl", "ioctl", "dup", "dup2", "dup3",
	"open", "openat", "stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd",
	"getdents64", "fadvise64", "pipe", "pipe2", "poll", "ppoll", "select", "pselect6", "ftruncate", "fsync", "statfs", "fstatfs",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "memfd_create",
	"mmap", "munmap", "mprotect", "mremap", "madvise", "msync", "mincore", "brk", "mlock", "munlock", "membarrier", "get_mempolicy", "set_mempolicy", "mbind",
	"futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "arch_prctl", "prctl", "gettid", "getpid", "getppid", "exit", "exit_group",
	"sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max",
	"sched_get_priority_min", "getpriority", "setpriority", "getcpu",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "tgkill", "restart_syscall",
	"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrusage", "timer_create", "timer_settime", "timer_delete",
	"setitimer", "getrandom", "uname", "sysinfo", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getrlimit", "setrlimit", "prlimit64", "capget",
	"execve", // once: behind it, only the program itself may be executed
}

// confineCalls refuses all others, and with them new processes; threads are left.
func confineCalls() error {
	if !seccomp.Supported() {
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	info, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("processor: %w", err)
	}
	names := slices.DeleteFunc(slices.Clone(allowed), func(name string) bool { _, ok := info.SyscallNames[name]; return !ok })
	err = seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: names, NamesWithCondtions: []seccomp.NameWithConditions{
				{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}}},
			}},
			// Its flags lie in memory, where a filter cannot look. Without it clone is used.
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
		},
	}})
	if err != nil {
		return fmt.Errorf("load filter: %w", err)
	}
	return nil
}
