package lab

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes put a host into a process group of its own that dies with the thread
// that started it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// enter moves this thread, and with it what it starts, to the host's network namespace.
func (h *Host) enter() error {
	if h.NetNS == "" {
		return nil
	}
	f, err := os.Open(h.NetNS)
	if err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", h.NetNS, err)
	}
	return nil
}
