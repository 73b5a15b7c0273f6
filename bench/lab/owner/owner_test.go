package owner

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestIdentityOfAProcessIsItsOwn(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a, err := identity(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := Name()
	if err != nil || !strings.HasPrefix(mine, fmt.Sprintf("%s%d-", Prefix, os.Getpid())) {
		t.Errorf("%q, %v", mine, err)
	}
	for name, want := range map[string]bool{
		Prefix + a + "-h1": false, mine + "-h1": false, "other-1-1-h1": false, Prefix + "x-1-h1": false, Prefix + "1": false,
		Prefix + "1-99999999999-h1": true, Prefix + "99999999-5-sw": true,
	} {
		if got := Abandoned(name); got != want {
			t.Errorf("%s is abandoned: %v", name, got)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !Abandoned(Prefix + a + "-h1") {
		t.Error("an ended process is still itself")
	}
}
