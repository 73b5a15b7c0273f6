package drill

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vstack/vstack/bench/drill/loopdisk"
	"github.com/vstack/vstack/bench/drill/netns"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
)

// needs are what a drill's hosts must have beside processes.
type needs int

const (
	nothing    needs = iota
	namespaces       // network namespaces, to be cut off in
	disks            // a disk of its own for each Raft log, to hang
)

// purpose names the temporary directories of drills.
const purpose = "drill"

// diskSize is that of each Raft log's disk.
const diskSize = 512 << 20

// available tells why there can be no such place here.
func (n needs) available() error {
	switch n {
	case namespaces:
		return netns.Available()
	case disks:
		return loopdisk.Available()
	}
	return nil
}

// place is a lab with what its hosts need.
type place struct {
	lab   *lab.Lab
	temp  bool // its directory is to be removed
	net   *netns.Net
	disks map[*lab.Host]*loopdisk.Disk
}

// openPlace makes the lab; it starts nothing. On an error nothing is left.
func openPlace(ctx context.Context, need needs, opt Options) (_ *place, err error) {
	if err := need.available(); err != nil {
		return nil, err
	}
	if err := sweep(ctx); err != nil {
		return nil, err
	}
	p := &place{disks: map[*lab.Host]*loopdisk.Disk{}}
	spec := lab.Spec{Dir: opt.Dir, FirstIP: opt.FirstIP, Superblock: 64 << 20}
	if spec.FirstIP == "" {
		first := netip.MustParseAddr(firstLoopback)
		if need == namespaces {
			if first, err = netns.FreeSubnet(); err != nil {
				return nil, err
			}
		}
		spec.FirstIP = first.String()
	}
	if spec.Dir == "" {
		if spec.Dir, err = lab.TempDir(purpose); err != nil {
			return nil, err
		}
		p.temp = true
	}
	if p.lab, err = lab.Init(spec); err != nil {
		if p.temp {
			err = errors.Join(err, os.RemoveAll(spec.Dir))
		}
		return nil, err
	}
	if err = p.equip(ctx, need); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *place) equip(ctx context.Context, need needs) (err error) {
	switch need {
	case namespaces:
		var addrs []netip.Addr
		for _, h := range p.lab.Hosts {
			a, err := netip.ParseAddr(h.Addr())
			if err != nil || !a.Is4() {
				return fmt.Errorf("host %s: %w: want an IPv4 address to cut off, not %q", h.ID, vstack.ErrInvalid, h.Addr())
			}
			addrs = append(addrs, a)
		}
		if p.net, err = netns.Open(ctx, addrs); err != nil {
			return err
		}
		for i, h := range p.lab.Hosts {
			h.NetNS = p.net.Path(i)
		}
	case disks:
		for _, h := range p.lab.Hosts {
			if p.disks[h], err = loopdisk.Make(ctx, filepath.Join(h.Dir, "meta.img"), h.Config.Meta.Dir, diskSize); err != nil {
				return err
			}
		}
	}
	return nil
}

// close ends the hosts and removes everything; a directory that somebody named stays,
// without its disks.
func (p *place) close() error {
	var errs []error
	for _, d := range p.disks {
		if d != nil {
			_ = d.Thaw() // usually it is not frozen; a host whose disk is could not end
		}
	}
	errs = append(errs, p.lab.Close())
	for _, d := range p.disks {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if p.net != nil {
		errs = append(errs, p.net.Close())
	}
	// With a disk still mounted its content would go, too.
	if err := errors.Join(errs...); err != nil || !p.temp {
		return err
	}
	return os.RemoveAll(p.lab.Dir)
}

// sweep removes what drills that were killed have left.
func sweep(ctx context.Context) error {
	var errs []error
	for _, dir := range lab.Abandoned(purpose) {
		mounts, err := loopdisk.Mounted(filepath.Join(dir, "hosts", "*", "*"))
		errs = append(errs, err)
		for _, m := range mounts {
			errs = append(errs, loopdisk.Unmount(m))
		}
	}
	if netns.Available() == nil {
		errs = append(errs, netns.Sweep(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what an earlier drill left: %w", err)
	}
	return nil
}
