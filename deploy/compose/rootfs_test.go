package compose

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/loopback"
)

// uid is the user of the images.
const uid = 65532

// inside mounts what an engine would, in a mount namespace of the process's own, which ends with
// it: nothing of this machine is ever mounted below a directory that a test removes.
const inside = `root=$1 cluster=$2; shift 2
mount --bind "$cluster" "$root/cluster" && mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" &&
cd "$root" && exec chroot --userspec=65532:65532 --groups= "$root" /usr/local/bin/vstack "$@"`

// TestTheImagesRunWithoutAnEngine makes the images' file systems by the recipe of the
// Dockerfile, runs the services' own commands in them under chroot, as the images' user, and
// stores and plays a film with the one that has the binary alone.
func TestTheImagesRunWithoutAnEngine(t *testing.T) {
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: builds a static binary and runs three hosts; VSTACK_SOAK=1 runs it")
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: chroot wants root")
	}
	f := read(t)
	net := loopback.Subnet(t)
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o755) // the images' user has to reach it; /tmp stays as it is
		if filepath.Dir(d) == "/tmp" {
			break
		}
	}
	binary := filepath.Join(dir, "vstack")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../../cmd/vstack")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	host, bare, cluster := filepath.Join(dir, "host"), filepath.Join(dir, "bare"), filepath.Join(dir, "cluster")
	must(t, os.MkdirAll(cluster, 0o755))
	must(t, os.Chown(cluster, uid, uid))
	var names string
	for i, h := range hosts(t, f) {
		names += fmt.Sprintf("%s.%d %s\n", net, i+1, h) // what an engine's resolver does
	}
	for _, root := range []string{host, bare} {
		put(t, binary, filepath.Join(root, "usr/local/bin/vstack"))
		for _, d := range []string{"etc", "tmp", "cluster", "proc", "dev"} {
			must(t, os.MkdirAll(filepath.Join(root, d), 0o755))
		}
		must(t, os.Chmod(filepath.Join(root, "tmp"), 0o1777))
		must(t, os.WriteFile(filepath.Join(root, "etc/hosts"), []byte(names), 0o644))
	}
	for _, tool := range []string{"ffmpeg", "ffprobe"} { // the layer of FFmpeg
		withLibraries(t, tool, host)
	}
	film := filepath.Join(bare, "film.mp4")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=4", "-c:v", "libx264", "-pix_fmt", "yuv420p", film).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	command := func(ctx context.Context, root string, s service, args ...string) *exec.Cmd {
		argv := append([]string{"--mount", "--propagation", "private", "sh", "-c", inside, "sh", root, cluster}, s.Command...)
		cmd := exec.CommandContext(ctx, "unshare", append(argv, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
		for k, v := range s.Environment {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		return cmd
	}
	for range 2 { // the second start finds what the first one made
		if out, err := command(t.Context(), host, f.Services["init"]).CombinedOutput(); err != nil {
			t.Fatalf("init: %v\n%s", err, out)
		}
	}
	for _, h := range hosts(t, f) {
		log, err := os.Create(filepath.Join(dir, h+".log"))
		must(t, err)
		cmd := command(context.Background(), host, f.Services[h])
		cmd.Stderr = log
		must(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
			if body, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
				t.Logf("%s said:\n%s", h, body)
			}
		})
	}
	cli := f.Services["cli"]
	cli.Command = nil
	say := func(args ...string) string {
		t.Helper()
		var out []byte
		var err error
		for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Second) {
			out, err = command(t.Context(), bare, cli, args...).CombinedOutput()
			if err == nil {
				return string(out)
			}
			if time.Now().After(deadline) {
				t.Fatalf("vstack %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
	}
	say("raft", "status")
	say("video", "upload", "/film.mp4", "--progress", "none")
	t.Log(say("video", "play", strings.TrimSpace(say("video", "ls", "-q")), "--progress", "none"))
	t.Log(say("status"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, from, to string) {
	t.Helper()
	body, err := os.ReadFile(from)
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	must(t, os.WriteFile(to, body, 0o755))
}

// withLibraries copies a program of this machine, and what it is linked with.
func withLibraries(t *testing.T, tool, root string) {
	t.Helper()
	path, err := exec.LookPath(tool)
	must(t, err)
	put(t, path, filepath.Join(root, "usr/bin", tool))
	out, err := exec.Command("ldd", path).Output()
	must(t, err)
	for _, m := range regexp.MustCompile(`(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
		put(t, m[1], filepath.Join(root, m[1]))
	}
}
