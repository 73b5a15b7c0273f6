package drill

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/internal/vstack"
)

// frozenHost counts what is done to its disk.
type frozenHost struct {
	site.Host
	freezes, thaws int
	frozen         bool
}

func (h *frozenHost) ID() vstack.HostID { return "h1" }

func (h *frozenHost) Freeze(context.Context) error {
	h.freezes, h.frozen = h.freezes+1, true
	return nil
}

func (h *frozenHost) Thaw(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err() // as a command that was never run
	}
	h.thaws, h.frozen = h.thaws+1, false
	return nil
}

func TestAPulseEndsThawed(t *testing.T) {
	var h frozenHost
	begun := time.Now()
	if err := pulse(t.Context(), &h); err != nil || h.freezes != 1 || h.thaws != 1 || h.frozen {
		t.Errorf("%+v, %v", h, err)
	}
	if took := time.Since(begun); took < slowPulse+slowThaw {
		t.Errorf("a pulse of %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), slowPulse/10)
	defer cancel()
	if err := pulse(ctx, &h); !errors.Is(err, context.DeadlineExceeded) || h.frozen || h.freezes != h.thaws {
		t.Errorf("a drill that ends leaves a frozen disk, or says nothing: %+v, %v", h, err)
	}
}

func TestOnlyADiskOfItsOwnIsFilled(t *testing.T) {
	if _, err := loopDisk(&frozenHost{}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a given host: %v", err)
	}
	p, _ := placed(t, disks)
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, h := range p.Hosts() {
		d, err := loopDisk(h)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Fill(); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(h.(*labHost).process.Config.Meta.Dir, "raft.db")
		if err := os.WriteFile(name, make([]byte, 64<<10), 0o600); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("host %s writes 64 KiB to a full disk: %v", h.ID(), err)
		}
	}
	bare := &labHost{process: p.lab.Hosts[0], place: &place{lab: &lab.Lab{}}}
	if _, err := loopDisk(bare); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a host without a disk of its own: %v", err)
	}
}
