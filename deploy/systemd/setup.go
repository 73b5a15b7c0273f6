package systemd

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Unit is the service as it is installed beside /usr/local/bin/vstack.
//
//go:embed vstack.service
var Unit string

// Sysctl is what QUIC wants of the kernel: 7 MiB of socket buffer.
//
//go:embed 60-vstack.conf
var Sysctl string

// Where the unit looks for a host and for the program.
const (
	Dir      = "/var/lib/vstack"
	program  = "/usr/local/bin/vstack"
	packaged = "/usr/bin/vstack" // of the Debian package, which brings account, unit and settings
)

// Setup says what to set up.
type Setup struct {
	// Program is the binary that runs; it is copied to where the unit looks for it.
	Program string
	// Root goes before every path, for tests; empty is the machine itself.
	Root string
}

// Script is the shell script that sets the machine up, for root.
func (s Setup) Script() string {
	var b strings.Builder
	step := func(why, format string, args ...any) {
		b.WriteString("# " + why + "\n" + fmt.Sprintf(format, args...) + "\n")
	}
	dir := s.Root + Dir
	if s.Program != s.Root+packaged {
		step("The account that hosts run as.", "id vstack >/dev/null 2>&1 || useradd --system --home-dir %s --shell /usr/sbin/nologin vstack", Dir)
		if to := s.Root + program; s.Program != to {
			step("The program.", "install -D -m 0755 %s %s.new\nmv %s.new %s", quote(s.Program), to, to, to)
		}
		step("UDP buffers as QUIC wants them.", "mkdir -p %[1]s/etc/sysctl.d\ncat >%[1]s/etc/sysctl.d/60-vstack.conf <<'END'\n%[2]sEND", s.Root, Sysctl)
		step("The unit.", "mkdir -p %[1]s/etc/systemd/system\ncat >%[1]s/etc/systemd/system/vstack.service <<'END'\n%[2]sEND", s.Root, Unit)
		step("Some containers let nobody change the kernel's settings: vstack doctor says so.",
			"sysctl -q -p %s/etc/sysctl.d/60-vstack.conf || echo 'the UDP buffers are small: vstack doctor' >&2", s.Root)
	}
	step("The host's files belong to that account.", "install -d -m 0700 -o vstack -g vstack %[1]s\nchown -R vstack:vstack %[1]s", dir)
	step("Start it, now and with the machine. The first start is done when the other members run too.",
		"systemctl daemon-reload\nsystemctl enable vstack.service\nsystemctl restart --no-block vstack.service")
	return b.String()
}

// Can says what keeps a host at dir from being set up here; nil where nothing does.
func Can(dir string) error {
	switch info, err := os.Stat("/run/systemd/system"); {
	case filepath.Clean(dir) != Dir:
		return fmt.Errorf("the unit runs the host in %s", Dir)
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		return errors.New("this machine does not run systemd")
	case err != nil:
		return err
	case os.Geteuid() != 0:
		return errors.New("you are not root")
	}
	return nil
}

// Run sets the machine up; what its commands say goes to out.
func (s Setup) Run(ctx context.Context, out io.Writer) error {
	return run(ctx, s.Script(), out)
}

// Restart has the host take a changed configuration.
func Restart(ctx context.Context, out io.Writer) error {
	return run(ctx, "systemctl restart --no-block vstack.service", out)
}

func run(ctx context.Context, script string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-eu")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("set up this machine: %w: vstack lab join BUNDLE --print shows the script", err)
	}
	return nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
