package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/identity"
)

const (
	// expiresSoon is when a certificate is called near its end.
	expiresSoon = 30 * 24 * time.Hour
	// syncs is how many fdatasync of syncSize bytes a disk is measured with.
	syncs    = 15
	syncSize = 4 << 10
	// slowSync is a median above which commits are slow; heartbeats of the metadata
	// cluster must exceed the worst.
	slowSync = 25 * time.Millisecond
	// lowSpace is the free space below which a disk is called full.
	lowSpace = 1 << 30
	// maxSkew between two hosts' clocks.
	maxSkew = 2 * time.Second
	// maxVersion bounds an answer of /version.
	maxVersion = 64 << 10
)

// ExpiresSoon is how near its end a certificate is worth a word: thirty days, or three tenths
// of its life, when one that renews itself would have done so.
func ExpiresSoon(life time.Duration) time.Duration {
	if life <= 0 {
		return expiresSoon
	}
	// Issuers have it begin before its issue, for clocks that are late.
	return min(expiresSoon, max(life-identity.Backdate, 0)*3/10)
}

// Until is the end of a certificate for people: with its time of day where that is near.
func Until(end time.Time) string {
	if time.Until(end) < 48*time.Hour {
		return end.Local().Format("2006-01-02 15:04:05")
	}
	return end.Format(time.DateOnly)
}

// certificate checks what a handshake would, and how long it will go on working.
func certificate(h *config.Server) Finding {
	check := "certificate " + h.Host
	fix := "vstack lab renew DIR where the authority is kept; then here: sudo vstack lab join BUNDLE --dir " + filepath.Dir(h.TLS)
	id, err := identity.Load(h.TLS)
	if err != nil {
		return finding(check, Fail, mendIdentity(err, h.TLS, fix), "%v", err)
	}
	if p := id.Peer(); p.Role != identity.RoleHost || p.ID != h.Host {
		return finding(check, Fail, fix, "%s is that of %s %q, the configuration says host %q", h.TLS, p.Role, p.ID, h.Host)
	}
	if left := time.Until(id.NotAfter()); left < ExpiresSoon(id.NotAfter().Sub(id.NotBefore())) {
		return finding(check, Warn, fix, "expires in %s", inWords(left))
	}
	return finding(check, OK, "", "valid until %s", Until(id.NotAfter()))
}

// inWords is a time that is left, in whole days where it is days.
func inWords(left time.Duration) string {
	if left < 48*time.Hour {
		return left.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", int(left.Hours()/24))
}

// Here reports whether a host is this machine's: whether it has the host's address.
func Here(h *config.Server) bool {
	addr, _, err := net.SplitHostPort(h.Ingest.Addr)
	if err != nil {
		return true
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		return !errors.Is(err, syscall.EADDRNOTAVAIL)
	}
	return ln.Close() == nil
}

// listener is one address that a host serves.
type listener struct {
	addr string
	udp  bool // besides TCP
	raft bool // answers no HTTP
}

func listeners(h *config.Server) []listener {
	var out []listener
	if self, ok := h.Self(); ok && h.Has(config.RoleMeta) {
		out = append(out, listener{addr: self.API}, listener{addr: self.Raft, raft: true})
	}
	if h.Has(config.RoleData) {
		for _, s := range h.Data.Stores {
			out = append(out, listener{addr: s.Addr, udp: true})
		}
	}
	if h.Has(config.RoleIngest) {
		out = append(out, listener{addr: h.Ingest.Addr})
	}
	if h.Has(config.RoleGateway) {
		out = append(out, listener{addr: h.Gateway.Addr})
	}
	return out
}

// Ports checks that every address is free, or served by this very host.
func Ports(ctx context.Context, h *config.Server) Finding {
	check := "ports " + h.Host
	ours, free := 0, 0
	for _, l := range listeners(h) {
		err := bindable(l)
		if err == nil {
			free++
			continue
		}
		_, port, _ := net.SplitHostPort(l.addr)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return finding(check, Fail, "ip -brief address", "%s: %v", l.addr, err)
		}
		// Raft speaks no HTTP: it is ours if the API beside it is.
		host, err := servedBy(ctx, h, l.addr)
		switch {
		case host == h.Host || l.raft && ours > 0:
			ours++
			continue
		case host != "":
			return finding(check, Fail, "stop it, or give this host other addresses", "%s is served by host %s of a V-Stack cluster", l.addr, host)
		case errors.As(err, new(*tls.CertificateVerificationError)):
			return finding(check, Warn, "vstack lab renew DIR where the authority is kept; see the line of the certificate", "%s is used, by this host or another program: its certificate is not good here: %v", l.addr, err)
		}
		return finding(check, Fail, "ss -tulpn sport = :"+port, "%s is used by another program", l.addr)
	}
	if ours > 0 {
		f := finding(check, OK, "", "this host runs and serves %d of %d", ours, ours+free)
		f.Served = ours
		return f
	}
	return finding(check, OK, "", "%d free", free)
}

func bindable(l listener) error {
	tcp, err := net.Listen("tcp", l.addr)
	if err != nil {
		return err
	}
	defer tcp.Close()
	if !l.udp {
		return nil
	}
	udp, err := net.ListenPacket("udp", l.addr)
	if err != nil {
		return err
	}
	return udp.Close()
}

// servedBy asks an address for the V-Stack host that it belongs to; "" for none.
func servedBy(ctx context.Context, h *config.Server, addr string) (string, error) {
	id, err := identity.LoadRoots(filepath.Join(h.TLS, "ca.crt"))
	if err != nil {
		return "", err
	}
	resp, err := ask(ctx, id.ClientTLS(), addr)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var v struct {
		Host string `json:"host"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxVersion)).Decode(&v); err != nil {
		return "", err
	}
	return v.Host, nil
}

func ask(ctx context.Context, conf *tls.Config, addr string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/version", nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	return httpclient.New(httpclient.Config{TLS: conf, DialTimeout: time.Second, HeaderTimeout: 3 * time.Second, StallTimeout: 3 * time.Second}).Do(req)
}

// dataDir is a directory that a host writes to.
type dataDir struct {
	path  string
	holds string
	want  int64 // bytes that it was promised, 0 when open
}

func hostDirs(h *config.Server) []dataDir {
	var out []dataDir
	if h.Has(config.RoleMeta) {
		out = append(out, dataDir{path: h.Meta.Dir, holds: "catalog"})
	}
	if h.Has(config.RoleData) {
		for _, s := range h.Data.Stores {
			out = append(out, dataDir{path: s.Dir, holds: "store", want: int64(s.Capacity)})
		}
	}
	if h.Has(config.RoleIngest) {
		out = append(out, dataDir{path: h.Ingest.Dir, holds: "spool"})
	}
	return out
}

// disk measures fdatasync and space where the directory is or would be made.
func disk(d dataDir) Finding {
	check := "disk " + d.path
	dir := d.path
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var space unix.Statfs_t
	if err := unix.Statfs(dir, &space); err != nil {
		return finding(check, Fail, "mkdir -p "+d.path, "%v", err)
	}
	free := int64(space.Bavail) * int64(space.Bsize) // 32 bits where clients build
	p50, worst, err := syncLatency(dir)
	if err != nil {
		return finding(check, Fail, mendDisk(err, dir), "%v", err)
	}
	text := fmt.Sprintf("%s: %d GiB free, fdatasync p50 %s, max %s", d.holds, free>>30, p50.Round(10*time.Microsecond), worst.Round(10*time.Microsecond))
	switch {
	case free < lowSpace:
		return finding(check, Warn, "df -h "+dir, "%s: less than 1 GiB", text)
	case d.want > free+used(d.path):
		return finding(check, Warn, "df -h "+dir, "%s: the store may use %d GiB", text, d.want>>30)
	case p50 > slowSync:
		return finding(check, Warn, "use a disk with a write cache that survives power loss", "%s: slow", text)
	}
	return finding(check, OK, "", "%s", text)
}

// mendDisk is what mends a directory that could not be written to.
func mendDisk(err error, dir string) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room: df -h " + dir + "; then delete films, enlarge the file system, or move the store: vstack store drain"
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO):
		return "look at the disk: dmesg | tail; a file system that met an error is read-only until it was repaired"
	case errors.Is(err, fs.ErrPermission):
		return "sudo chown -R $(id -un) " + dir
	}
	return "ls -ld " + dir
}

// used is what the directory's own files take.
func used(dir string) int64 {
	var sum int64
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0 // not made yet
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum
}

// skew compares this clock with that of other hosts, by the Date header.
func skew(ctx context.Context, peers []string, tlsDir string) []Finding {
	id, err := identity.LoadRoots(filepath.Join(tlsDir, "ca.crt"))
	if err != nil {
		return []Finding{finding("cluster", Fail, "", "%v", err)}
	}
	var out []Finding
	for _, addr := range peers {
		check := "host " + addr
		resp, err := ask(ctx, id.ClientTLS(), addr)
		if err != nil {
			text := err.Error()
			if i := strings.LastIndex(text, ": "); i > 0 {
				text = text[i+2:]
			}
			out = append(out, finding(check, Warn, "vstack node ls", "no answer: %s", text))
			continue
		}
		_ = resp.Body.Close() // only its header matters
		date, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			out = append(out, finding(check, OK, "", "answers"))
			continue
		}
		// The header is cut to whole seconds: half a second is the best guess.
		if off := time.Since(date.Add(500 * time.Millisecond)).Round(time.Second); off.Abs() > maxSkew {
			out = append(out, finding(check, Warn, "sudo timedatectl set-ntp true", "its clock is %s away from this one", off.Abs()))
			continue
		}
		out = append(out, finding(check, OK, "", "answers, clocks agree"))
	}
	return out
}
