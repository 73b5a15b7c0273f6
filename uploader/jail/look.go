//go:build linux

package jail

import (
	"fmt"
	"os"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// Names of the walls.
const (
	PartLimits = "limits"
	PartFiles  = "files"
	PartCalls  = "calls"
	PartUser   = "user"
)

// Part is one of the jail's walls.
type Part struct {
	Name   string
	On     bool
	Detail string
}

// Look says which walls a child of this process has.
func (j Jail) Look() []Part {
	helper := j.Helper != ""
	parts := []Part{{PartLimits, true, "memory, processor time, descriptors, output"}}
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1)
	switch {
	case !helper:
		parts = append(parts, Part{PartFiles, false, "no helper"}, Part{PartCalls, false, "no helper"})
	case errno != 0:
		parts = append(parts, Part{PartFiles, false, "the kernel has no Landlock"})
	default:
		parts = append(parts, Part{PartFiles, true, fmt.Sprintf("Landlock version %d", abi)})
	}
	if helper {
		parts = append(parts, Part{PartCalls, seccomp.Supported(), "seccomp"})
	}
	uid, _ := lookUser(orNobody(j.User))
	switch {
	case os.Geteuid() != 0:
		parts = append(parts, Part{PartUser, false, "this process is not root, its children are the same user"})
	case !helper || uid == 0:
		parts = append(parts, Part{PartUser, false, fmt.Sprintf("there is no account %q", orNobody(j.User))})
	default:
		parts = append(parts, Part{PartUser, true, orNobody(j.User)})
	}
	return parts
}
