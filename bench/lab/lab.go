package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/lab/loopdisk"
	"github.com/vstack/vstack/bench/lab/memcap"
	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// diskSize is that of each Raft log's disk.
	diskSize = 512 << 20
	// startTimeout bounds the start of all hosts.
	startTimeout = 90 * time.Second
)

// Spec says what lab to make. Dir may be empty.
type Spec struct {
	lab.Spec
	// Under, without Dir, is where a fresh directory is made, which Close removes.
	// Without both it is a temporary one with Purpose in its name, which Sweep removes if
	// this process is killed.
	Under, Purpose string
	// Needs of the hosts. With Namespaces and without FirstIP, addresses are of a free
	// subnet.
	Needs Needs
	// Seed is of what links draw.
	Seed uint64
	// Program, when set, makes the lab's directory by its command "lab init", as a person
	// with that version would have. Of the embedded Spec it is told FirstIP, Stores and
	// Superblock.
	Program string
}

// Lab is a cluster: after Init directories, after Start processes.
type Lab struct {
	*lab.Lab
	// Net is there with Namespaces. Its hosts have the numbers of Hosts.
	Net *netns.Net

	temp  bool // its directory is to be removed
	disks map[*lab.Host]*loopdisk.Disk
	caps  map[*lab.Host]*memcap.Group
}

// Init makes a lab; it starts nothing. On an error nothing is left.
func Init(ctx context.Context, spec Spec) (_ *Lab, err error) {
	if err := spec.Needs.Available(); err != nil {
		return nil, err
	}
	if spec.FirstIP == "" && spec.Needs&Namespaces != 0 {
		first, err := netns.FreeSubnet()
		if err != nil {
			return nil, err
		}
		spec.FirstIP = first.String()
	}
	l := &Lab{disks: map[*lab.Host]*loopdisk.Disk{}, caps: map[*lab.Host]*memcap.Group{}}
	if spec.Dir == "" {
		if spec.Dir, err = spec.directory(); err != nil {
			return nil, err
		}
		l.temp = true
	}
	if l.Lab, err = spec.init(ctx); err != nil {
		if l.temp {
			err = errors.Join(err, os.RemoveAll(spec.Dir))
		}
		return nil, err
	}
	if err = l.equip(ctx, spec); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// init makes the content of the directory.
func (s Spec) init(ctx context.Context) (*lab.Lab, error) {
	if s.Program == "" {
		return lab.Init(s.Spec)
	}
	args := []string{"lab", "init", "--out", s.Dir, "--first-ip", s.FirstIP}
	if s.Stores > 0 {
		args = append(args, "--stores", strconv.Itoa(s.Stores))
	}
	if s.Superblock > 0 {
		args = append(args, "--superblock", strconv.FormatInt(int64(s.Superblock), 10))
	}
	if out, err := exec.CommandContext(ctx, s.Program, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a lab with %s: %w: %s", s.Program, err, strings.TrimSpace(string(out)))
	}
	return lab.Load(s.Dir)
}

func (s Spec) directory() (string, error) {
	if s.Under == "" {
		return lab.TempDir(s.Purpose)
	}
	dir, err := os.MkdirTemp(s.Under, "lab-")
	if err != nil {
		return "", fmt.Errorf("make lab directory: %w", err)
	}
	return dir, nil
}

func (l *Lab) equip(ctx context.Context, spec Spec) (err error) {
	if spec.Needs&Namespaces != 0 {
		if err := l.network(ctx, spec); err != nil {
			return err
		}
	}
	for _, h := range l.Hosts {
		if spec.Needs&Disks != 0 {
			if l.disks[h], err = loopdisk.Make(ctx, filepath.Join(h.Dir, "meta.img"), h.Config.Meta.Dir, diskSize); err != nil {
				return err
			}
		}
		if spec.Needs&Memory != 0 {
			if l.caps[h], err = memcap.Make(string(h.ID)); err != nil {
				return err
			}
			h.OnStart = l.caps[h].Take
		}
	}
	return nil
}

// network gives the hosts namespaces, and links between them where they are needed.
func (l *Lab) network(ctx context.Context, spec Spec) (err error) {
	l.Net, err = Network(ctx, l.Lab, spec.Needs, spec.Seed)
	return err
}

// Network gives the hosts of a lab that does not run namespaces, and links between them where they
// are needed.
func Network(ctx context.Context, l *lab.Lab, needs Needs, seed uint64) (n *netns.Net, err error) {
	var addrs []netip.Addr
	for _, h := range l.Hosts {
		a, err := netip.ParseAddr(h.Addr())
		if err != nil || !a.Is4() || a.IsLoopback() {
			return nil, fmt.Errorf("host %s: %w: want an IPv4 address of a network, not %q", h.ID, vstack.ErrInvalid, h.Addr())
		}
		addrs = append(addrs, a)
	}
	if needs&Links != 0 {
		n, err = netns.OpenLinks(ctx, seed, addrs)
	} else {
		n, err = netns.Open(ctx, addrs)
	}
	if err != nil {
		return nil, err
	}
	for i, h := range l.Hosts {
		h.NetNS = n.Path(i)
	}
	return n, nil
}

// Others are the addresses of all hosts but one.
func (l *Lab) Others(i int) []netip.Addr {
	var out []netip.Addr
	for k, h := range l.Hosts {
		if k != i {
			out = append(out, netip.MustParseAddr(h.Addr())) // network has parsed it
		}
	}
	return out
}

// Disk is that of a host's Raft log; nil without Disks.
func (l *Lab) Disk(h *lab.Host) *loopdisk.Disk { return l.disks[h] }

// Memory is a host's control group; nil without Memory.
func (l *Lab) Memory(h *lab.Host) *memcap.Group { return l.caps[h] }

// Close ends the hosts and removes everything; a directory that somebody named stays,
// without its disks.
func (l *Lab) Close() error {
	var errs []error
	for _, d := range l.disks {
		if d != nil {
			_ = d.Thaw() // usually it is not frozen; a host whose disk is could not end
		}
	}
	errs = append(errs, l.Lab.Close())
	for _, d := range l.disks {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	for _, g := range l.caps {
		if g != nil {
			errs = append(errs, g.Close())
		}
	}
	if l.Net != nil {
		errs = append(errs, l.Net.Close())
	}
	// With a disk still mounted its content would go, too.
	if err := errors.Join(errs...); err != nil || !l.temp {
		return err
	}
	return os.RemoveAll(l.Dir)
}

// Client is what a client of a lab needs.
type Client struct {
	ID   *identity.Identity
	Meta *metaclient.Client
}

// Serve starts the hosts, waits until they serve, and makes an administrator's client.
// Its Meta is to be closed.
func (l *Lab) Serve(ctx context.Context, exe string) (*Client, error) {
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := l.Start(ready, exe); err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	id, err := identity.Load(l.Lab.Client)
	if err != nil {
		return nil, err
	}
	conf, err := config.LoadClient(l.Lab.Client, nil, nil)
	if err != nil {
		return nil, err
	}
	meta, err := metaclient.New(metaclient.Config{Endpoints: conf.Metastores, TLS: id.ClientTLS()})
	if err != nil {
		return nil, err
	}
	return &Client{ID: id, Meta: meta}, nil
}

// Sweep removes what labs of a purpose have left whose processes were killed.
func Sweep(ctx context.Context, purpose string) error {
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
	if memcap.Available() == nil {
		errs = append(errs, memcap.Sweep())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what an earlier lab left: %w", err)
	}
	return nil
}
