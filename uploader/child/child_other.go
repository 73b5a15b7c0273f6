//go:build unix && !linux

package child

import "syscall"

// attributes put a child into a group of its own. Nothing ends it with its parent here; an
// export's ends by itself when its input does.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
