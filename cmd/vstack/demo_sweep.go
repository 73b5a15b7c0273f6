package main

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// demoTemp is the pattern of the directories that a demo without --dir makes.
	demoTemp = "vstack-demo-"
	// sweepAge spares a directory whose demo is just about to lock it.
	sweepAge = time.Minute
)

// sweepDemos removes the directories in parent of demos that were killed and could not
// tidy up. A demo that runs holds the lock of its lab; what belongs to others, or is no
// directory, is left alone.
func sweepDemos(parent string, now time.Time) {
	found, _ := filepath.Glob(filepath.Join(parent, demoTemp+"*")) // the pattern is valid
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
