package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vstack/vstack/internal/hostcmd"
)

// HostsFile is the file of a lab's directory that WriteHostsFile writes.
const HostsFile = "hosts.yaml"

// WriteHostsFile writes the commands that work the lab's hosts, for vstack drill run --hosts,
// and returns the file's name. Whoever started the hosts starts those that end again: the
// command for that waits until it is done.
func (l *Lab) WriteHostsFile() (string, error) {
	dir, err := filepath.Abs(l.Dir)
	if err != nil {
		return "", fmt.Errorf("write commands of hosts: %w", err)
	}
	pid := `"$(cat ` + hostcmd.Quote(filepath.Join(dir, "hosts")) + `/"$DRILL_HOST"/pid)"`
	var b strings.Builder
	fmt.Fprintf(&b, `# How the hosts of this lab are worked, while the program that started them runs.
timeout: 30s
commands:
  kill: kill -KILL %[1]s
  stop: p=%[1]s; kill -TERM "$p"; while kill -0 "$p" 2>/dev/null; do sleep 0.1; done
  start: until kill -0 %[1]s 2>/dev/null; do sleep 0.1; done # it comes back by itself
  pause: kill -STOP %[1]s
  resume: kill -CONT %[1]s
hosts:
`, pid)
	for _, h := range l.Hosts {
		fmt.Fprintf(&b, "  - id: %s\n", h.ID)
	}
	file := filepath.Join(l.Dir, HostsFile)
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		return "", fmt.Errorf("write commands of hosts: %w", err)
	}
	return file, nil
}
