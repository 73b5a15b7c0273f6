package link

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// maxSleep bounds one sleep, so that a time that is never needs no case of its own.
const maxSleep = time.Hour

// sleeper is how a locked thread sleeps until a time or until it is woken. A timer of the
// runtime is a millisecond late; the kernel's is some 50 µs.
type sleeper struct{ event int }

func newSleeper() (sleeper, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return sleeper{}, fmt.Errorf("make event of a link: %w", err)
	}
	return sleeper{fd}, nil
}

// precise asks the kernel not to put off the wake-ups of the calling thread, which must
// be locked.
func (sleeper) precise() error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	return nil
}

func (s sleeper) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	ts := unix.NsecToTimespec(int64(min(d, maxSleep)))
	fds := []unix.PollFd{{Fd: int32(s.event), Events: unix.POLLIN}}
	n, err := unix.Ppoll(fds, &ts, nil)
	if err == unix.EINTR || err == nil && n == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sleep: %w", err)
	}
	var count [8]byte
	if _, err := unix.Read(s.event, count[:]); err != nil && err != unix.EAGAIN {
		return fmt.Errorf("read event of a link: %w", err)
	}
	return nil
}

// wake ends the sleep, the next one if there is none.
func (s sleeper) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// It cannot fail but when the counter is full, and then the thread wakes.
	_, _ = unix.Write(s.event, one[:])
}

func (s sleeper) close() error { return unix.Close(s.event) }
