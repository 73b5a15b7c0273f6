package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// tempName begins the name of every temporary lab.
	tempName = "vstack-demo-"
	// sweepAge spares a directory that is just about to be locked.
	sweepAge = time.Minute
)

// TempDir makes the directory of a lab that nobody wants to keep. It removes those of
// processes that were killed and could not tidy up.
func TempDir() (string, error) {
	sweep(os.TempDir(), time.Now())
	dir, err := os.MkdirTemp("", tempName)
	if err != nil {
		return "", fmt.Errorf("make temporary lab: %w", err)
	}
	return dir, nil
}

// sweep removes the temporary labs in parent that nobody runs. Who runs one holds its
// lock; what belongs to others, or is no directory, is left alone.
func sweep(parent string, now time.Time) {
	found, _ := filepath.Glob(filepath.Join(parent, tempName+"*")) // the pattern is valid
	for _, dir := range found {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || now.Sub(info.ModTime()) < sweepAge {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() {
			continue
		}
		if f, err := os.Open(filepath.Join(dir, "lock")); err == nil {
			held := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
			_ = f.Close() // only read from; this gives up the lock, too
			if held {
				continue
			}
		}
		_ = os.RemoveAll(dir) // garbage of the past: what cannot go stays for the next sweep
	}
}
