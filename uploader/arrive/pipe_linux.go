package arrive

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlarge has a pipe hold pipeSize. It is only a wish.
func enlarge(w *os.File) {
	if c, err := w.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}
