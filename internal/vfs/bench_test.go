//go:build linux

package vfs

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkLargeWrite is what a durable write of a chunk costs the processor, in seconds a GB: through
// the page cache, through it with the pages given back at once or 64 MiB later, and past it.
func BenchmarkLargeWrite(b *testing.B) {
	const size, files = 2<<20 + 4<<10, 128 // written round and round: 256 MiB
	bufs := [][]byte{make([]byte, 896), make([]byte, 2<<20), make([]byte, 3200)}
	through := func(f *osFile, off int64) error {
		_, err := unix.Pwritev(f.fd, bufs, off)
		return err
	}
	back := func(lag int64) func(*osFile, int64) error {
		return func(f *osFile, off int64) error {
			if err := through(f, off); err != nil {
				return err
			}
			if off < lag {
				return nil
			}
			return unix.Fadvise(f.fd, off-lag, size, unix.FADV_DONTNEED)
		}
	}
	for _, way := range []struct {
		name  string
		write func(*osFile, int64) error
	}{
		{"cache", through},
		{"cache, given back", back(size)},
		{"cache, given back later", back(32 * size)},
		{"direct", func(f *osFile, off int64) error { _, err := f.WritevAt(bufs, off); return err }},
	} {
		b.Run(way.name, func(b *testing.B) {
			f, err := OS{}.Create(filepath.Join(b.TempDir(), "f"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if err := f.Preallocate(files * size); err != nil {
				b.Fatal(err)
			}
			before := processor(b)
			b.SetBytes(size)
			for i := 0; b.Loop(); i++ {
				if i%files == 0 && i > 0 {
					b.StopTimer()
					if err := f.Truncate(0); err != nil {
						b.Fatal(err)
					}
					if err := f.Preallocate(files * size); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				if err := way.write(f.(*osFile), int64(i%files)*size); err != nil {
					b.Fatal(err)
				}
				if err := f.Datasync(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((processor(b)-before)/(float64(b.N)*size/1e9), "processor-s/GB")
		})
	}
}

func processor(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
