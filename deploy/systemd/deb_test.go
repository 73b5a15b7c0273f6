package systemd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThePackageBringsWhatJoinLeavesToIt: each file that it names is there, and the paths are
// those at which Setup looks for what a package brought.
func TestThePackageBringsWhatJoinLeavesToIt(t *testing.T) {
	root := filepath.Join("..", "..")
	body, err := os.ReadFile("../deb/nfpm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dst: " + packaged + ",", "dst: /usr/lib/systemd/system/vstack.service,", "dst: /usr/lib/sysctl.d/60-vstack.conf,", "- ffmpeg"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the package has no %q", want)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)(?:src: |(?:install|remove): )([a-zA-Z][^,\s]*)`).FindAllStringSubmatch(string(body), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("the package names %v", err)
		}
	}
	release, err := os.ReadFile("../../.ci/release")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(Unit, "ExecStart="+program+" ") || !strings.Contains(string(release), "s,"+program+","+packaged+",") {
		t.Errorf("the unit starts %s, and the release does not make %s of it", program, packaged)
	}
	purge, err := os.ReadFile("../deb/postrm")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(purge), "rm ") {
		t.Errorf("the package removes something of its own: %s", purge)
	}
}
