package systemd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a root directory, with commands that only say what they were asked for.
func machine(t *testing.T) (root string, asked func() string) {
	t.Helper()
	root, bin := t.TempDir(), t.TempDir()
	log := filepath.Join(bin, "asked")
	for name, body := range map[string]string{
		"id": "exit 1", "useradd": "", "sysctl": "", "systemctl": "", "chown": "",
		// Nobody but root can give files away.
		"install": `case "$*" in *"-o vstack"*) for last; do :; done; exec mkdir -p "$last";; *) exec /usr/bin/install "$@";; esac`,
	} {
		script := "#!/bin/sh\necho " + name + ` "$@" >>` + log + "\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return root, func() string {
		body, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
}

func TestSetupInstallsAllThatAHostNeeds(t *testing.T) {
	root, asked := machine(t)
	exe := filepath.Join(t.TempDir(), "it's vstack")
	if err := os.WriteFile(exe, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again is the same
		var out bytes.Buffer
		if err := (Setup{Program: exe, Root: root}).Run(t.Context(), &out); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
	}
	for path, want := range map[string]string{program: "program", "/etc/systemd/system/vstack.service": Unit, "/etc/sysctl.d/60-vstack.conf": Sysctl} {
		if body, err := os.ReadFile(root + path); err != nil || string(body) != want {
			t.Errorf("%s: %v\n%s", path, err, body)
		}
	}
	if info, err := os.Stat(root + program); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("program: %v, %v", info.Mode(), err)
	}
	for _, want := range []string{"useradd --system --home-dir /var/lib/vstack", "chown -R vstack:vstack " + root + Dir, "systemctl enable vstack.service", "systemctl restart --no-block vstack.service"} {
		if !strings.Contains(asked(), want) {
			t.Errorf("nobody asked for %q in\n%s", want, asked())
		}
	}
}

// TestSetupLeavesWhatThePackageBrought: account, unit and settings are the package's.
func TestSetupLeavesWhatThePackageBrought(t *testing.T) {
	root, asked := machine(t)
	if err := (Setup{Program: root + packaged, Root: root}).Run(t.Context(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root + "/etc"); err == nil || strings.Contains(asked(), "useradd") || !strings.Contains(asked(), "systemctl restart") {
		t.Errorf("asked for\n%s", asked())
	}
}

func TestSetupSaysWhichStepFailed(t *testing.T) {
	root, _ := machine(t)
	var out bytes.Buffer
	err := Setup{Program: "/none/vstack", Root: root}.Run(t.Context(), &out)
	if err == nil || !strings.Contains(err.Error(), "--print") || !strings.Contains(out.String(), "/none/vstack") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestOnlyTheUnitsDirectoryIsSetUp(t *testing.T) {
	if err := Can("/srv/elsewhere"); err == nil || !strings.Contains(err.Error(), Dir) {
		t.Errorf("got %v", err)
	}
}

// TestSystemdTakesTheUnits has systemd read them, with the program where they expect it.
func TestSystemdTakesTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: systemd-analyze is not installed (Debian package systemd)")
	}
	for _, name := range []string{"vstack.service", "vstack-backup.service", "vstack-backup.timer"} {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, path := range []string{program, packaged} {
			body = bytes.ReplaceAll(body, []byte(path), []byte("/bin/true"))
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "vstack-backup.timer" { // it starts the service beside it
			if err := os.WriteFile(filepath.Join(dir, "vstack-backup.service"), []byte("[Service]\nExecStart=/bin/true\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
		if err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
