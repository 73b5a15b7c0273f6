package doctor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/uploader/jail"
)

// clock asks the kernel whether anything keeps its clock right.
func clock() Finding {
	const check = "clock"
	const fix = "sudo apt-get install -y systemd-timesyncd && sudo timedatectl set-ntp true"
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return finding(check, OK, "", "the kernel does not say: %v", err)
	}
	if state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0 {
		return finding(check, Warn, fix, "nothing synchronises it; certificates and logs need a clock that is right to a second")
	}
	return finding(check, OK, "", "synchronised")
}

// ffmpegJail says which walls FFmpeg's processes have on this machine.
func ffmpegJail(hosts []*config.Server) Finding {
	const check = "ffmpeg jail"
	const fix = "run a kernel with Landlock (5.13 or later, lsm=landlock) and seccomp"
	j := jail.Jail{Helper: jail.Self}
	for _, h := range hosts {
		if h.Has(config.RoleIngest) {
			j.User = h.Ingest.User
		}
	}
	var words []string
	state := OK
	for _, p := range j.Look() {
		word := p.Name + ": "
		if !p.On {
			word += "off, "
			if p.Name != jail.PartUser { // who is not root cannot change its user
				state = Warn
			}
		}
		words = append(words, word+p.Detail)
	}
	mend := ""
	if state == Warn {
		mend = fix
	}
	return finding(check, state, mend, "%s", strings.Join(words, "; "))
}

// syncLatency measures how long the disk of a directory takes to make a block durable.
func syncLatency(dir string) (p50, worst time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".doctor-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, syncSize)
	var took []time.Duration
	for i := range syncs {
		if _, err := f.WriteAt(block, int64(i)*syncSize); err != nil {
			return 0, 0, err
		}
		start := time.Now()
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, 0, fmt.Errorf("fdatasync: %w", err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1], nil
}
