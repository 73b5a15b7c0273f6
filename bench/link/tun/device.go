package tun

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vstack"
)

// clone is where the kernel makes TUN devices.
const clone = "/dev/net/tun"

// Available tells why there can be no device here; nil when there can.
func Available() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("TUN devices: %w: only root may make them", vstack.ErrForbidden)
	}
	if _, err := os.Stat(clone); err != nil {
		return fmt.Errorf("TUN devices: %w: %w", vstack.ErrNotFound, err)
	}
	return nil
}

// In calls f in a network namespace: sockets and devices that it opens are there, also
// later. An empty path is this process's own.
func In(namespace string, f func() error) (err error) {
	if namespace == "" {
		return f()
	}
	runtime.LockOSThread()
	own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer own.Close()
	there, err := os.Open(namespace)
	if err == nil {
		err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
		_ = there.Close() // it was only read
	}
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", namespace, err)
	}
	err = f()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked, and ends with this goroutine.
		return errors.Join(err, fmt.Errorf("leave network namespace %s: %w", namespace, back))
	}
	runtime.UnlockOSThread()
	return err
}

// openDevice makes a device of a name in a namespace. It is gone when the file is closed.
func openDevice(namespace, name string) (f *os.File, err error) {
	err = In(namespace, func() error {
		fd, err := unix.Open(clone, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", clone, err)
		}
		req, err := unix.NewIfreq(name)
		if err == nil {
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			_ = unix.Close(fd)
			return fmt.Errorf("make device %s: %w", name, err)
		}
		f = os.NewFile(uintptr(fd), name)
		return nil
	})
	return f, err
}

// overran counts the packets that the kernel dropped because nobody read the device.
func overran(namespace, name string) (n int64, err error) {
	err = In(namespace, func() error {
		body, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/net/dev", unix.Gettid()))
		if err != nil {
			return fmt.Errorf("read counters of devices: %w", err)
		}
		for line := range strings.Lines(string(body)) {
			dev, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
			// Eight figures of what was received, then bytes, packets, errors and drops of what was sent.
			if fields := strings.Fields(rest); ok && dev == name && len(fields) >= 12 {
				n, err = strconv.ParseInt(fields[11], 10, 64)
				return err
			}
		}
		return fmt.Errorf("counters of device %s: %w", name, vstack.ErrNotFound)
	})
	return n, err
}
