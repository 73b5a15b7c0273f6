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

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// namePrefix begins the name of every namespace that this package makes.
	namePrefix = "vsdrill-"
	// ifacePrefix begins the name of the link in the namespace of a Net's maker.
	ifacePrefix = "vs"
	// dir is where ip keeps namespaces.
	dir = "/run/netns"
	// table is the nft table of a cut.
	table = "vsdrill"
	// runTimeout bounds one program.
	runTimeout = 10 * time.Second
)

// Net is hosts in namespaces.
type Net struct {
	prefix string
	iface  string // in this process's namespace
	hosts  []netip.Addr
	self   netip.Addr
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
// .254. On an error nothing is left.
func Open(ctx context.Context, hosts []netip.Addr) (_ *Net, err error) {
	if err := Available(); err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("network namespaces: %w: no hosts", vstack.ErrInvalid)
	}
	id, err := identity(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("network namespaces: %w", err)
	}
	last := hosts[0].As4()
	last[3] = 254
	n := &Net{prefix: namePrefix + id, iface: ifacePrefix + strconv.Itoa(os.Getpid()), hosts: hosts, self: netip.AddrFrom4(last)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	sw := n.prefix + "-sw"
	steps := [][]string{
		{"netns", "add", sw},
		{"-n", sw, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"-n", sw, "link", "set", "br0", "up"},
		{"link", "add", n.iface, "type", "veth", "peer", "name", "self", "netns", sw},
		{"-n", sw, "link", "set", "self", "master", "br0", "up"},
		{"addr", "add", n.self.String() + "/24", "dev", n.iface},
		{"link", "set", n.iface, "up"},
	}
	for i, addr := range hosts {
		ns, port := n.name(i), "p"+strconv.Itoa(i+1)
		steps = append(steps,
			[]string{"netns", "add", ns},
			[]string{"-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", sw},
			[]string{"-n", sw, "link", "set", port, "master", "br0", "up"},
			[]string{"-n", ns, "addr", "add", addr.String() + "/24", "dev", "eth0"},
			[]string{"-n", ns, "link", "set", "eth0", "up"},
			[]string{"-n", ns, "link", "set", "lo", "up"},
		)
	}
	for _, args := range steps {
		if err := run(ctx, "", "ip", args...); err != nil {
			return nil, err
		}
	}
	return n, nil
}

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
	if _, none := net.InterfaceByName(n.iface); none == nil {
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
		prefix := name[:strings.LastIndexByte(name, '-')]
		pid, _, _ := strings.Cut(strings.TrimPrefix(prefix, namePrefix), "-")
		n, err := strconv.Atoi(pid)
		if err != nil {
			continue // not named by Open
		}
		if id, err := identity(n); err == nil && namePrefix+id == prefix {
			continue // its maker runs
		}
		errs = append(errs, remove(ctx, prefix))
	}
	return errors.Join(errs...)
}

// identity names a process for all time: its id and the moment of its start.
func identity(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("read start of process %d: %w", pid, err)
	}
	// The command in parentheses may hold anything; the start is the 20th field behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("read start of process %d: %w: %q", pid, vstack.ErrCorrupt, stat)
	}
	return strconv.Itoa(pid) + "-" + fields[19], nil
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
		if strings.HasPrefix(e.Name(), namePrefix) && strings.Count(e.Name(), "-") == 3 {
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
