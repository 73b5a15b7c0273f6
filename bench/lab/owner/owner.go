package owner

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Prefix begins the name of everything that drills make.
const Prefix = "vsdrill-"

// Name is the beginning of all names of this process, without a "-" behind it.
func Name() (string, error) {
	id, err := identity(os.Getpid())
	if err != nil {
		return "", err
	}
	return Prefix + id, nil
}

// Abandoned reports whether a name was made for a process that is no more.
func Abandoned(name string) bool {
	parts := strings.Split(strings.TrimPrefix(name, Prefix), "-") // pid, start, what it is
	if !strings.HasPrefix(name, Prefix) || len(parts) < 3 {
		return false
	}
	pid, err := strconv.Atoi(parts[0])
	if err != nil {
		return false // not made by Name
	}
	id, err := identity(pid)
	return err != nil || id != parts[0]+"-"+parts[1]
}

// identity names a process for all time: its id and the moment of its start.
func identity(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("read start of process %d: %w", pid, err)
	}
	// The command in parentheses may hold anything; the start is the 20th field behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("read start of process %d: %w: %q", pid, vstack.ErrCorrupt, stat)
	}
	return strconv.Itoa(pid) + "-" + fields[19], nil
}
