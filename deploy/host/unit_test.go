package host

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"
)

const unit = "../systemd/vstack.service"

// TestTheUnitsAreTight has systemd judge what the services may do: 10 is everything.
func TestTheUnitsAreTight(t *testing.T) {
	for _, file := range []string{unit, "../systemd/vstack-backup.service"} {
		t.Run(file, func(t *testing.T) { tight(t, file) })
	}
}

func tight(t *testing.T, unit string) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: systemd-analyze is not installed (Debian package systemd)")
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no level in:\n%s", out)
	}
	if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > 3 {
		t.Errorf("exposure level %s, want 3 or less\n%s", m[1], out)
	}
}

// TestTheWatchdogIsPatient: a probe that times out once must leave time for another.
func TestTheWatchdogIsPatient(t *testing.T) {
	body, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^WatchdogSec=(\d+)$`).FindSubmatch(body)
	if m == nil {
		t.Fatal("the unit has no watchdog")
	}
	seconds, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	if every := time.Duration(seconds) * time.Second; every < 3*probeTimeout {
		t.Errorf("a watchdog of %s, want three times the %s of a probe", every, probeTimeout)
	}
}
