package loopdisk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// The ioctls of linux/fs.h: FIFREEZE and FITHAW.
	freeze = 0xC0045877
	thaw   = 0xC0045878

	// runTimeout bounds one program, closeTimeout the wait for the last user to go.
	runTimeout   = 20 * time.Second
	closeTimeout = 10 * time.Second
	busyPause    = 50 * time.Millisecond

	// filling is the file that takes what is left, in pieces of fillPiece and then ever
	// smaller ones.
	filling   = ".filling"
	fillPiece = 256 << 20
	fillLeast = 512
)

// Available tells why there can be no Disk here; nil when there can.
func Available() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("loop disk: %w: only root may mount one", vstack.ErrForbidden)
	}
	for _, name := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("loop disk: %w: %w", vstack.ErrNotFound, err)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return fmt.Errorf("loop disk: %w: %w", vstack.ErrNotFound, err)
	}
	return nil
}

// Disk is a mounted file system.
type Disk struct{ dir, image string }

// Make makes dir, which must be empty, a file system of at most size bytes, kept in the
// new file image. On an error nothing is left.
func Make(ctx context.Context, image, dir string, size int64) (_ *Disk, err error) {
	if err := Available(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(image, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make disk: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(image))
		}
	}()
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return nil, fmt.Errorf("make disk: %w", err)
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-m", "0", image); err != nil {
		return nil, err
	}
	if err := run(ctx, "mount", "-o", "loop,noatime", image, dir); err != nil {
		return nil, err
	}
	d := &Disk{dir, image}
	// A new member's directory must be empty.
	if err := os.Remove(filepath.Join(dir, "lost+found")); err != nil {
		return nil, errors.Join(fmt.Errorf("make disk: %w", err), unmount(dir))
	}
	return d, nil
}

// Freeze makes it hang until Thaw.
func (d *Disk) Freeze() error { return control(d.dir, freeze, "freeze") }

// Thaw ends Freeze; what waited goes on.
func (d *Disk) Thaw() error { return control(d.dir, thaw, "thaw") }

// Fill takes all the space that is left, until Free: the next write that needs more than
// its files have ends with ENOSPC.
func (d *Disk) Fill() (err error) {
	f, err := os.OpenFile(filepath.Join(d.dir, filling), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("fill disk: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("fill disk: %w", err)
	}
	// What deleted files have left becomes free with the next commit of the journal only.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("fill disk: %w", err)
	}
	size := info.Size()
	for piece := int64(fillPiece); piece >= fillLeast; {
		switch err := unix.Fallocate(int(f.Fd()), 0, size, piece); {
		case err == nil:
			size += piece
		case errors.Is(err, unix.ENOSPC):
			piece /= 2
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("fill disk at %s: %w", d.dir, err)
		}
	}
	return nil
}

// Free ends Fill.
func (d *Disk) Free() error {
	if err := os.Remove(filepath.Join(d.dir, filling)); err != nil {
		return fmt.Errorf("free disk: %w", err)
	}
	return nil
}

func control(dir string, op uint, what string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("%s disk: %w", what, err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), op, 0); err != nil {
		return fmt.Errorf("%s disk at %s: %w", what, dir, err)
	}
	return nil
}

// Close unmounts it and removes the image. Its users must have ended, or end when a
// frozen one is thawed.
func (d *Disk) Close() error {
	if err := Unmount(d.dir); err != nil {
		return err
	}
	return os.Remove(d.image)
}

// Unmount thaws what is mounted at dir, if it is frozen, waits for the last user to go,
// and unmounts it.
func Unmount(dir string) error {
	// EINVAL: it was not frozen.
	if err := control(dir, thaw, "thaw"); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return unmount(dir)
}

func unmount(dir string) error {
	for began := time.Now(); ; time.Sleep(busyPause) { // nothing tells of the last user
		err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Since(began) > closeTimeout {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
}

// Mounted lists the loop devices' mount points that match a pattern of filepath.Match.
func Mounted(pattern string) ([]string, error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || !strings.HasPrefix(fields[0], "/dev/loop") {
			continue
		}
		if ok, err := filepath.Match(pattern, fields[1]); err != nil {
			return nil, fmt.Errorf("list mounts: pattern %q: %w", pattern, err)
		} else if ok {
			out = append(out, fields[1])
		}
	}
	return out, nil
}

func run(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
