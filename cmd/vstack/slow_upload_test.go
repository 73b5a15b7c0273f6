package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/wire"
)

// slowLinks are uploads over a link: the small ones in every run, the long ones with
// VSTACK_SOAK=1.
var slowLinks = []struct {
	name  string
	size  int64   // bytes of the file
	rate  float64 // bit/s
	kills int     // of the uploader's host, while it receives
	soak  bool
}{
	{"4 MB at 8 Mbit a second", 4 << 20, 8e6, 0, false},
	{"12 MB at 16 Mbit a second, host killed twice", 12 << 20, 16e6, 2, false},
	{"12 MB at 200 kbit a second", 12e6, 200e3, 0, true},
	{"254 MB at 3 Mbit a second", 254e6, 3e6, 0, true},
	{"254 MB at 10 Mbit a second, host killed twice", 254e6, 10e6, 2, true},
}

func TestUploadsOverSlowLinks(t *testing.T) {
	for _, l := range slowLinks {
		t.Run(l.name, func(t *testing.T) {
			if l.soak && os.Getenv("VSTACK_SOAK") == "" {
				t.Skip("SKIPPED: set VSTACK_SOAK=1 for the long ones")
			}
			s := newScenario(t)
			file := padded(t, clip(t, "2", "0"), l.size)
			host := s.lab.Hosts[1]
			plan := shape.Always(shape.Shape{Delay: 20 * time.Millisecond, Rate: l.rate})
			ip, _, err := net.SplitHostPort(s.ingest(1)) // the host's certificate is for its address
			if err != nil {
				t.Fatal(err)
			}
			relay, err := link.Open(link.Config{Listen: ip + ":0", To: s.ingest(1), TCP: true, Up: plan, Down: plan})
			if err != nil {
				t.Fatal(err)
			}
			defer relay.Close()
			passed := func() int64 { up, _, _ := relay.Report(); return up.Bytes } // it may be late: only its bytes are asked for
			done, failed := make(chan wire.Job, 1), make(chan error, 1)
			began := time.Now()
			go func() {
				job, err := s.cluster.Upload(t.Context(), s.prog, file, cluster.UploadOptions{Uploader: relay.Addr().String()})
				if err != nil {
					failed <- err
					return
				}
				done <- job
			}()
			for k := range l.kills {
				s.until("a part of the file to pass", func() bool { return passed() > int64(k+1)*l.size/3 })
				if err := host.Kill(); err != nil {
					t.Fatal(err)
				}
				if err := host.Start(); err != nil {
					t.Fatal(err)
				}
				s.step("host killed and started again after %d bytes", passed())
			}
			select {
			case err := <-failed:
				t.Fatal(err)
			case job := <-done:
				twice := passed() - l.size
				s.step("published: %d bytes over the link for %d, %d more, headers among them", passed(), l.size, twice)
				if job.State != wire.JobPublished || job.Source.Size != l.size {
					t.Errorf("job: %+v", job)
				}
				// Headers of packets and of TLS, and for each kill the tail that was not on disk yet.
				if bound := l.size/10 + int64(l.kills)*(8<<20+1<<20); twice > bound {
					t.Errorf("%d bytes passed beyond the file's, want at most %d", twice, bound)
				}
			}
			if least := time.Duration(float64(l.size) * 8 / l.rate * float64(time.Second)); time.Since(began) < least {
				t.Errorf("took %s, the link alone takes %s: it was not used", time.Since(began), least)
			}
		})
	}
}

// padded makes an MP4 as large as wanted, by a box at its end that players skip.
func padded(t *testing.T, file string, size int64) string {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	box := append(binary.BigEndian.AppendUint32(nil, uint32(size-end)), "free"...)
	if _, err := f.Write(box); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return file
}
