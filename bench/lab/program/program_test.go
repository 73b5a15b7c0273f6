package program

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// TestBuild has two commits of a small module of the same shape; each gives its own program.
func TestBuild(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("SKIPPED: no git here")
	}
	repo := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	t.Chdir(repo)
	git := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	commit := func(says string) {
		t.Helper()
		for name, text := range map[string]string{
			"go.mod":             "module example.org/old\n\ngo 1.24\n",
			"cmd/vstack/main.go": "package main\n\nvar version, commit string\n\nfunc main() { println(version, \"" + says + "\") }\n",
		} {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git("add", ".")
		git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", says)
	}
	git("init", "-q")
	commit("first")
	commit("second")
	for rev, says := range map[string]string{"HEAD": "second", "HEAD~1": "first"} {
		for range 2 { // the second time it is there
			p, err := Build(t.Context(), rev)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(p.Exe).CombinedOutput()
			if want := p.Commit[:12] + " " + says + "\n"; err != nil || string(out) != want {
				t.Errorf("%s says %q, %v; want %q", rev, out, err, want)
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "vstack", "programs", ".build-*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := Build(t.Context(), "0123456"); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("a commit that is not there: %v", err)
	}
	if _, err := Build(t.Context(), "--help"); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("an option instead of a commit: %v", err)
	}
	if _, err := Build(t.Context(), repo+"/go.mod"); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a file that is no program: %v", err)
	}
}

func TestUnpackStaysInItsDirectory(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	if err := out.WriteHeader(&tar.Header{Name: "../out", Typeflag: tar.TypeReg, Size: 1, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := unpack(&b, filepath.Join(dir, "in")); err == nil || !strings.Contains(err.Error(), "../out") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("it wrote beside its directory")
	}
}
