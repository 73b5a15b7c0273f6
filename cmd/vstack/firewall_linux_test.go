package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// apart gives a site two networks of its own with a wire between them: of the hosts, and of
// the administrator's machine. What is done to their firewalls and mounts ends with the test.
func (s *site) apart() {
	s.Helper()
	if os.Geteuid() != 0 {
		s.Skip("SKIPPED: root is needed for namespaces and a firewall")
	}
	for _, program := range []string{"unshare", "nsenter", "ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			s.Skipf("SKIPPED: %s is needed: make deps-test", program)
		}
	}
	s.net = "10.77.0."
	s.hosts, s.here = s.holder(), s.holder()
	admin := s.here[2]
	s.does(s.hosts, "ip", "link", "add", "wire", "type", "veth", "peer", "name", "end")
	s.does(s.hosts, "ip", "link", "set", "end", "netns", admin)
	for _, n := range []string{"1", "2", "3"} {
		s.does(s.hosts, "ip", "address", "add", s.net+n+"/24", "dev", "wire")
	}
	s.does(s.here, "ip", "address", "add", s.net+"100/24", "dev", "end")
	for _, link := range []string{"lo", "wire"} {
		s.does(s.hosts, "ip", "link", "set", link, "up")
	}
	for _, link := range []string{"lo", "end"} {
		s.does(s.here, "ip", "link", "set", link, "up")
	}
}

// holder is a process that keeps namespaces, and how to run a program in them.
func (s *site) holder() []string {
	s.Helper()
	cmd := exec.Command("unshare", "--net", "--mount", "sh", "-c", "echo; exec sleep infinity")
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has them now
		s.Fatal(err)
	}
	return []string{"nsenter", "--target", strconv.Itoa(cmd.Process.Pid), "--net", "--mount"}
}

// does runs another program than vstack in namespaces.
func (s *site) does(where []string, args ...string) {
	s.Helper()
	all := append(append([]string(nil), where...), args...)
	if out, err := exec.Command(all[0], all[1:]...).CombinedOutput(); err != nil {
		s.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	s.Logf("%5.1f s  # %s", time.Since(s.began).Seconds(), strings.ReplaceAll(strings.Join(args, " "), s.dir+"/", ""))
}

// TestWhatDoctorSays of hosts behind a firewall, full disks, files of another account and
// ports that are taken; on the hosts themselves and on an administrator's machine.
func TestWhatDoctorSays(t *testing.T) {
	long(t)
	s := newSite(t)
	s.apart()
	disk := filepath.Join(s.host("b"), "stores/1")
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	s.does(s.hosts, "mount", "-t", "tmpfs", "-o", "size=150m", "disk", disk)
	s.founded()
	film := s.upload().String()

	s.reads(patience, 0, []string{"status"}, "every store is up", "QUIC handshakes from here with 6 of 6 stores", "the newest that all programs know")
	screen, _ := s.reads(patience, anyExit, []string{"doctor"}, "client bundle", "admin admin, valid until", "of 3 members that vote 1 more may fail", "every store is up", "every store has all", "QUIC handshakes")
	if strings.Contains(screen, "ports a") || strings.Contains(screen, "another program") || strings.Contains(screen, "  fail  ") {
		t.Error("hosts of other machines are not tested as local, and nothing is broken")
	}
	s.doctor("a", anyExit, "this host runs and serves 6 of 6", "valid until", "everything is root's")

	t.Run("a firewall that drops datagrams", func(t *testing.T) { s.firewall(film) })
	t.Run("a file of another account", func(t *testing.T) {
		key := filepath.Join(s.host("c"), "tls/tls.key")
		s.does(s.hosts, "chown", "65534", key)
		s.doctor("c", 1, "owners c", "tls/tls.key is nobody's", "sudo chown -R root")
		s.does(s.hosts, "chown", "0", key)
	})
	t.Run("a full disk", func(t *testing.T) {
		s.does(s.hosts, "sh", "-c", "cat /dev/zero > "+disk+"/full 2>/dev/null || true")
		screen := s.doctor("b", 1, "no space left on device", "make room: df -h")
		if strings.Contains(screen, "chown") {
			t.Error("a full disk is not a matter of owners")
		}
		s.does(s.hosts, "rm", disk+"/full")
	})
	t.Run("a port that is taken", func(t *testing.T) {
		s.stop("c")
		end := s.listens(s.addr("c", "8082"))
		s.doctor("c", 1, "10.77.0.3:8082 is used by another program", "ss -tulpn sport = :8082")
		end()
		s.doctor("c", anyExit, "ports c", "6 free")
		s.start("c")
	})
	s.reads(time.Minute, 0, []string{"status"}, "every store is up")
}

// firewall drops what comes to one store by UDP, while TCP goes through.
func (s *site) firewall(film string) {
	s.Helper()
	closed := s.addr("b", "8082")
	s.does(s.hosts, "nft", "add table inet site; add chain inet site in { type filter hook input priority 0; }; add rule inet site in ip daddr "+s.net+"2 udp dport 8082 drop")
	s.reads(patience, 6, []string{"status"}, "no QUIC handshake in 3s with "+closed+", whose TCP answers", "let UDP through as TCP is, both ways: "+closed)
	s.reads(patience, 6, []string{"doctor"}, "no QUIC handshake in 3s with "+closed)
	s.reads(patience, 0, []string{"video", "play", film}, "verified")
	s.does(s.hosts, "nft", "delete table inet site")
	s.reads(patience, 0, []string{"status"}, "QUIC handshakes from here with 6 of 6 stores")
}

// doctor is typed on a host.
func (s *site) doctor(host string, want int, words ...string) string {
	s.Helper()
	here := s.here
	s.here = s.hosts
	defer func() { s.here = here }()
	screen, _ := s.reads(patience, want, []string{"doctor", "--config", filepath.Join(s.host(host), "vstack.yaml")}, words...)
	return screen
}

// listens is another program that has an address of the hosts' network.
func (s *site) listens(addr string) (end func()) {
	s.Helper()
	type result struct {
		ln  net.Listener
		err error
	}
	got := make(chan result)
	go func() { // the thread stays in that network and ends with the goroutine
		runtime.LockOSThread()
		ns, err := os.Open("/proc/" + s.hosts[2] + "/ns/net")
		if err != nil {
			got <- result{nil, err}
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			got <- result{nil, err}
			return
		}
		ln, err := net.Listen("tcp", addr)
		got <- result{ln, err}
	}()
	r := <-got
	if r.err != nil {
		s.Fatal(r.err)
	}
	return func() { _ = r.ln.Close() }
}
