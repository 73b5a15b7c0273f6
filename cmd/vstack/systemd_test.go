package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is this system booted once more by systemd, in namespaces of its own: what it
// writes is gone with it, and it has no network but its loopback.
type machine struct {
	*testing.T
	root string // its file system
	init string // process id of its systemd
}

// TestTheUnitsUnderSystemd installs a host as docs/deployment.md says, and has a real systemd
// start it, see that it hangs, start it again, and run the backup's timer's service.
func TestTheUnitsUnderSystemd(t *testing.T) {
	long(t)
	needFFmpeg(t)
	m := boot(t)
	film := clip(t, "3", "1")
	m.put("/opt/v/film.mp4", film)
	m.put("/opt/v/bin/vstack", built(t))
	m.do("cp -r " + m.source("deploy") + " " + m.root + "/opt/v/")
	m.in("cd /opt/v && bin/vstack lab init --hosts h1=127.0.0.1 --stores 3 --out lab && sh deploy/install.sh lab/bundles/h1.tar.gz")

	// Type=notify: active is what serves.
	m.until("the unit is active", func() bool { return m.show("ActiveState") == "active" })
	t.Logf("%s", m.in("systemctl status vstack --no-pager | head -8"))
	for _, unit := range []string{"vstack", "vstack-backup"} {
		level := m.exposure("/opt/v/deploy/systemd/" + unit + ".service")
		if t.Logf("exposure of %s: %.1f", unit, level); level > 3 {
			t.Errorf("%s: exposure %.1f, want 3 or less", unit, level)
		}
	}
	t.Logf("%s", m.in("cd /opt/v && vstack --cluster lab/client video upload film.mp4 --progress none && vstack --cluster lab/client video ls"))

	// A process that hangs is ended by its watchdog and started again.
	before := m.show("MainPID")
	began := time.Now()
	m.in("kill -STOP " + before)
	m.until("the watchdog ended it", func() bool { return m.show("NRestarts") == "1" })
	killed := time.Since(began)
	m.until("it is active again", func() bool { return m.show("ActiveState") == "active" && m.show("MainPID") != before })
	t.Logf("stopped process: ended by the watchdog after %.1f s, serving after %.1f s\n%s", killed.Seconds(), time.Since(began).Seconds(),
		m.in("journalctl -u vstack --no-pager | grep -m3 -i -e watchdog -e SIGABRT"))
	if out := m.in("journalctl -u vstack --no-pager"); !strings.Contains(out, "goroutine ") {
		t.Error("the journal has no goroutines of the process that hung")
	}
	m.in("cd /opt/v && id=$(vstack --cluster lab/client video ls --output json | grep -o '\"id\": *\"[^\"]*' | head -1 | grep -o '[^\"]*$') && vstack --cluster lab/client video verify $id")

	m.in("mkdir -p /etc/vstack /var/backups/vstack && cp -r /opt/v/lab/client /etc/vstack/client && cp /opt/v/deploy/systemd/vstack-backup.* /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now vstack-backup.timer && systemctl start vstack-backup")
	t.Logf("%s", m.in("systemctl list-timers --no-pager vstack-backup.timer; ls -l /var/backups/vstack"))
	if left, err := filepath.Glob(m.root + "/var/backups/vstack/*.backup"); err != nil || len(left) != 1 {
		t.Errorf("backups %v, %v: want one", left, err)
	}
}

// built is a vstack program that no test is in.
func built(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "vstack")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", out, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return out
}

// boot starts systemd over this machine's files, and ends it with the test.
func boot(t *testing.T) *machine {
	t.Helper()
	nspawn, err := exec.LookPath("systemd-nspawn")
	if err != nil {
		t.Skip("SKIPPED: systemd-nspawn is not installed (Debian package systemd-container)")
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root may mount and boot a machine")
	}
	dir, err := os.MkdirTemp("/var/tmp", "vstack-machine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) }) // empty once nothing is mounted
	m := &machine{T: t, root: dir + "/root"}
	m.do("mount -t tmpfs tmpfs " + dir)
	t.Cleanup(func() { unmount(t, dir) })
	m.do(fmt.Sprintf("mkdir %[1]s/upper %[1]s/work %[1]s/root && mount -t overlay overlay -o lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work %[1]s/root", dir))
	t.Cleanup(func() { unmount(t, m.root) })
	// It has no network to wait for.
	m.do(fmt.Sprintf("rm -f %[1]s/etc/machine-id && mkdir -p %[1]s/opt/v/bin && ln -sf /dev/null %[1]s/etc/systemd/system/systemd-networkd-wait-online.service", m.root))
	log, err := os.Create(filepath.Join(t.TempDir(), "console"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), nspawn, "--directory", m.root, "--boot", "--private-network", "--register=no", "--keep-unit", "--machine=vstack-test", "--console=pipe")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // nspawn has its systemd power off
		_ = cmd.Wait()
		_ = log.Close()
		if said, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("its console:\n%s", said)
		}
	})
	children := fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid)
	m.until("systemd runs", func() bool {
		all, err := os.ReadFile(children)
		m.init = strings.TrimSpace(string(all))
		return err == nil && m.init != "" && !strings.Contains(m.init, " ")
	})
	m.until("it has booted", func() bool {
		out, _ := m.try("systemctl is-system-running") // fails while it starts, and where a unit of the image fails
		return strings.Contains(out, "running") || strings.Contains(out, "degraded")
	})
	m.in("ip link set lo up")
	return m
}

func unmount(t *testing.T, dir string) {
	if out, err := exec.CommandContext(context.Background(), "umount", "--lazy", dir).CombinedOutput(); err != nil {
		t.Errorf("umount %s: %v: %s", dir, err, out)
	}
}

// source is a directory of this module.
func (m *machine) source(dir string) string {
	m.Helper()
	abs, err := filepath.Abs(filepath.Join("../..", dir))
	if err != nil {
		m.Fatal(err)
	}
	return abs
}

// put copies a file into the machine.
func (m *machine) put(to, file string) {
	m.Helper()
	m.do("cp " + file + " " + m.root + to)
}

// do runs a command out here.
func (m *machine) do(command string) {
	m.Helper()
	if out, err := exec.CommandContext(m.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
		m.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// in runs a command in the machine, which must do.
func (m *machine) in(command string) string {
	m.Helper()
	out, err := m.try(command)
	if err != nil {
		m.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

func (m *machine) try(command string) (string, error) {
	ctx, cancel := context.WithTimeout(m.Context(), scenarioTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nsenter", "-t", m.init, "-a", "sh", "-c", command).CombinedOutput()
	return string(out), err
}

// show is a property of the unit.
func (m *machine) show(property string) string {
	out, _ := m.try("systemctl show vstack --value -p " + property) // empty while systemd is not there
	return strings.TrimSpace(out)
}

func (m *machine) until(what string, ok func() bool) {
	m.Helper()
	for end := time.Now().Add(scenarioTimeout); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			m.Fatalf("not within %v: %s", scenarioTimeout, what)
		}
	}
}

// exposure is what systemd-analyze says of a unit, 10 is everything.
func (m *machine) exposure(unit string) float64 {
	m.Helper()
	found := regexp.MustCompile(`level for \S+: ([0-9.]+)`).FindStringSubmatch(m.in("systemd-analyze security --offline=true --no-pager " + unit))
	if found == nil {
		m.Fatalf("no level of %s", unit)
	}
	level, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		m.Fatal(err)
	}
	return level
}
