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
	tempName = "vstack-"
	// sweepAge spares a directory that is just about to be locked.
	sweepAge = time.Minute
)

// TempDir makes the directory of a lab that nobody wants to keep, named for its purpose.
// It removes those of processes that were killed and could not tidy up.
func TempDir(purpose string) (string, error) {
	for _, dir := range Abandoned(purpose) {
		_ = os.RemoveAll(dir) // garbage of the past: what cannot go stays for the next time
	}
	dir, err := os.MkdirTemp("", tempName+purpose+"-")
	if err != nil {
		return "", fmt.Errorf("make temporary lab: %w", err)
	}
	return dir, nil
}

// Abandoned lists the temporary labs of a purpose that nobody runs. Who runs one holds
// its lock; what belongs to others, or is no directory, is not listed.
func Abandoned(purpose string) []string {
	return abandoned(filepath.Join(os.TempDir(), tempName+purpose+"-*"), time.Now())
}

func abandoned(pattern string, now time.Time) []string {
	var out []string
	found, _ := filepath.Glob(pattern) // the pattern is valid
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
		out = append(out, dir)
	}
	return out
}
