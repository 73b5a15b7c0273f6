package baseline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// PlainDisk is the baseline of the write benchmarks: three append-only files on the
// measured disk, each chunk a plain write and fdatasync, the three in parallel. It is
// what three durable copies cost without network, hash, checksum, index or vote. The
// files only grow, as a store's do: rewriting blocks that were just freed is faster on
// most disks, and nobody stores videos that way.
type PlainDisk struct {
	files [3]*os.File
	data  []byte
}

func NewPlainDisk(dir string, data []byte) (*PlainDisk, error) {
	d := &PlainDisk{data: data}
	for i := range d.files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("plain-%d", i+1)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("create baseline file: %w", err), d.Close())
		}
		d.files[i] = f
	}
	return d, nil
}

// One writes the chunk once to each file and returns when all three are durable.
func (d *PlainDisk) One(context.Context) (time.Duration, error) {
	start := time.Now()
	err := d.each(1)
	return time.Since(start), err
}

// Many writes n chunks to each file, every file at its own pace.
func (d *PlainDisk) Many(_ context.Context, n int) (time.Duration, error) {
	start := time.Now()
	err := d.each(n)
	return time.Since(start), err
}

func (d *PlainDisk) each(n int) error {
	var g errgroup.Group
	for _, f := range d.files {
		g.Go(func() error {
			for range n {
				if _, err := f.Write(d.data); err != nil {
					return fmt.Errorf("write %s: %w", f.Name(), err)
				}
				if err := unix.Fdatasync(int(f.Fd())); err != nil {
					return fmt.Errorf("fdatasync %s: %w", f.Name(), err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// Close closes and removes the files.
func (d *PlainDisk) Close() error {
	var errs []error
	for _, f := range d.files {
		if f != nil {
			errs = append(errs, f.Close(), os.Remove(f.Name()))
		}
	}
	return errors.Join(errs...)
}
