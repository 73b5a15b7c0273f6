package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/lab/owner"
	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/link/tun"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// ifacePrefix begins the name of the link in the namespace of a Net's maker.
	ifacePrefix = "vs"
	// dir is where ip keeps namespaces.
	dir = "/run/netns"
	// table is the nft table of a cut.
	table = "vsdrill"
	// deviceQueue is how many packets wait to be read by a link.
	deviceQueue = "10000"
	// runTimeout bounds one program.
	runTimeout = 10 * time.Second
)

// Net is hosts in namespaces.
type Net struct {
	prefix string
	iface  string // in this process's namespace
	hosts  []netip.Addr
	self   netip.Addr
	hub    *tun.Hub // nil where a bridge joins the hosts
}

// Available tells why there can be no Net here; nil when there can.
func Available() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("network namespaces: %w: only root may make them", vstack.ErrForbidden)
	}
	for _, name := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("network namespaces: %w: %w", vstack.ErrNotFound, err)
		}
	}
	return nil
}

// FreeSubnet returns the first address of a /24 of the benchmarking range 198.18.0.0/15
// that no interface of this machine has.
func FreeSubnet() (netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find a free subnet: %w", err)
	}
	for i := range 512 {
		n := (os.Getpid() + i) % 512
		first := netip.AddrFrom4([4]byte{198, byte(18 + n/256), byte(n % 256), 1})
		taken := slices.ContainsFunc(addrs, func(a net.Addr) bool {
			used, ok := a.(*net.IPNet)
			return ok && (used.Contains(first.AsSlice()) || within24(first, used.IP))
		})
		if !taken {
			return first, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("find a free subnet of 198.18.0.0/15: %w", vstack.ErrUnavailable)
}

func within24(a netip.Addr, ip net.IP) bool {
	b, ok := netip.AddrFromSlice(ip)
	return ok && netip.PrefixFrom(a, 24).Contains(b.Unmap())
}

// Open makes a namespace for each address, all of one /24, of which this process gets
// .254, and joins them by a bridge. On an error nothing is left.
func Open(ctx context.Context, hosts []netip.Addr) (*Net, error) {
	return open(ctx, hosts, (*Net).bridge)
}

// OpenLinks is Open with a link of its own for each host in place of the bridge; see
// SetLink. At first they do nothing.
func OpenLinks(ctx context.Context, seed uint64, hosts []netip.Addr) (*Net, error) {
	return open(ctx, hosts, func(n *Net, ctx context.Context) error { return n.links(ctx, seed) })
}

func open(ctx context.Context, hosts []netip.Addr, join func(*Net, context.Context) error) (_ *Net, err error) {
	if err := Available(); err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("network namespaces: %w: no hosts", vstack.ErrInvalid)
	}
	prefix, err := owner.Name()
	if err != nil {
		return nil, fmt.Errorf("network namespaces: %w", err)
	}
	last := hosts[0].As4()
	last[3] = 254
	n := &Net{prefix: prefix, iface: ifacePrefix + strconv.Itoa(os.Getpid()), hosts: hosts, self: netip.AddrFrom4(last)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	var steps [][]string
	for i := range hosts {
		steps = append(steps, []string{"netns", "add", n.name(i)}, []string{"-n", n.name(i), "link", "set", "lo", "up"})
	}
	if err := ip(ctx, steps); err != nil {
		return nil, err
	}
	if err := join(n, ctx); err != nil {
		return nil, err
	}
	steps = [][]string{{"addr", "add", n.self.String() + "/24", "dev", n.iface}, {"link", "set", n.iface, "up"}}
	for i, addr := range hosts {
		ns := n.name(i)
		steps = append(steps, []string{"-n", ns, "addr", "add", addr.String() + "/24", "dev", "eth0"}, []string{"-n", ns, "link", "set", "eth0", "up"})
	}
	return n, ip(ctx, steps)
}

// bridge joins the namespaces in one more.
func (n *Net) bridge(ctx context.Context) error {
	sw := n.prefix + "-sw"
	steps := [][]string{
		{"netns", "add", sw},
		{"-n", sw, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"-n", sw, "link", "set", "br0", "up"},
		{"link", "add", n.iface, "type", "veth", "peer", "name", "self", "netns", sw},
		{"-n", sw, "link", "set", "self", "master", "br0", "up"},
	}
	for i := range n.hosts {
		port := "p" + strconv.Itoa(i+1)
		steps = append(steps,
			[]string{"-n", n.name(i), "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", sw},
			[]string{"-n", sw, "link", "set", port, "master", "br0", "up"},
		)
	}
	return ip(ctx, steps)
}

// links gives each namespace, and this process's own, a device of a hub. The queue before
// a device is long: what waits for a link waits in the link.
func (n *Net) links(ctx context.Context, seed uint64) (err error) {
	ends := []tun.Host{{Device: n.iface, Addr: n.self}}
	steps := [][]string{{"link", "set", n.iface, "mtu", strconv.Itoa(tun.MTU), "txqueuelen", deviceQueue}}
	for i, addr := range n.hosts {
		ends = append(ends, tun.Host{Namespace: n.Path(i), Device: "eth0", Addr: addr})
		steps = append(steps, []string{"-n", n.name(i), "link", "set", "eth0", "mtu", strconv.Itoa(tun.MTU), "txqueuelen", deviceQueue})
	}
	if n.hub, err = tun.Open(seed, ends...); err != nil {
		return err
	}
	return ip(ctx, steps)
}

// SetLink has what host i sends and receives follow plans from now on. The Net is one of
// OpenLinks.
func (n *Net) SetLink(i int, up, down shape.Plan) error { return n.hub.SetLink(i+1, up, down) }

// SetOwnLink is SetLink for this process's own host.
func (n *Net) SetOwnLink(up, down shape.Plan) error { return n.hub.SetLink(0, up, down) }

// CountAnew has reports of all links say what they did from now on.
func (n *Net) CountAnew() error { return n.hub.CountAnew() }

// OwnLinkReport is LinkReport for this process's own host.
func (n *Net) OwnLinkReport() (up, down link.Counts, err error) { return n.hub.Report(0) }

// LinkReport is what the link of host i did until now, and link.ErrLate if it kept bad
// time.
func (n *Net) LinkReport(i int) (up, down link.Counts, err error) { return n.hub.Report(i + 1) }

func (n *Net) name(i int) string { return n.prefix + "-h" + strconv.Itoa(i+1) }

// Path is the file of the namespace of host i.
func (n *Net) Path(i int) string { return filepath.Join(dir, n.name(i)) }

// Self is this process's address.
func (n *Net) Self() netip.Addr { return n.self }

// Cut drops what host i sends to the given addresses, what it receives from them, or both.
func (n *Net) Cut(ctx context.Context, i int, sends, receives bool, others ...netip.Addr) error {
	var list []string
	for _, a := range others {
		list = append(list, a.String())
	}
	set := "{ " + strings.Join(list, ", ") + " }"
	var rules strings.Builder
	fmt.Fprintf(&rules, "table inet %s {\n", table)
	if sends {
		fmt.Fprintf(&rules, "chain out { type filter hook output priority 0; ip daddr %s drop; }\n", set)
	}
	if receives {
		fmt.Fprintf(&rules, "chain in { type filter hook input priority 0; ip saddr %s drop; }\n", set)
	}
	rules.WriteString("}\n")
	return run(ctx, rules.String(), "ip", "netns", "exec", n.name(i), "nft", "-f", "-")
}

// Heal takes the cut of host i back.
func (n *Net) Heal(ctx context.Context, i int) error {
	return run(ctx, "", "ip", "netns", "exec", n.name(i), "nft", "delete", "table", "inet", table)
}

// Close removes the namespaces, and with them all links. Processes in them must have
// ended: a namespace lives as long as one of them.
func (n *Net) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	// Links go some time after their namespaces, and the next Net wants the name.
	var err error
	if n.hub != nil {
		err = n.hub.Close() // and with it its devices
		n.hub = nil
	} else if _, none := net.InterfaceByName(n.iface); none == nil {
		err = run(ctx, "", "ip", "link", "del", n.iface)
	}
	return errors.Join(err, remove(ctx, n.prefix))
}

// Sweep removes what this package made for processes that are no more.
func Sweep(ctx context.Context) error {
	names, err := list()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if owner.Abandoned(name) {
			errs = append(errs, run(ctx, "", "ip", "netns", "del", name))
		}
	}
	return errors.Join(errs...)
}

// list returns the namespaces that this package made.
func list() ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), owner.Prefix) && strings.Count(e.Name(), "-") == 3 {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// remove deletes the namespaces of a prefix.
func remove(ctx context.Context, prefix string) error {
	names, err := list()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if strings.HasPrefix(name, prefix+"-") {
			errs = append(errs, run(ctx, "", "ip", "netns", "del", name))
		}
	}
	return errors.Join(errs...)
}

// ip runs the program with each of the arguments.
func ip(ctx context.Context, steps [][]string) error {
	for _, args := range steps {
		if err := run(ctx, "", "ip", args...); err != nil {
			return err
		}
	}
	return nil
}

// run runs a program to its end; what it writes is its error's text.
func run(ctx context.Context, stdin, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
