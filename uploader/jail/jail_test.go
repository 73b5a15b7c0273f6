package jail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vstack"
)

// taskEnv makes the test binary the jailed program, which does as it is told.
const taskEnv = "VSTACK_TEST_JAILED"

func TestMain(m *testing.M) {
	Enter()
	if task := os.Getenv(taskEnv); task != "" {
		os.Exit(prisoner(task, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// findings are what a prisoner found out; an empty text is success.
type findings struct {
	Input, Passwd, Socket, Process, File, Memory string
	UID, Seccomp, NoNewPrivs                     int
}

func prisoner(task string, args []string) int {
	switch task {
	case "spin":
		for n := uint64(0); ; n++ {
		}
	case "look":
	default:
		return 2
	}
	say := func(err error) string {
		if err != nil {
			return err.Error()
		}
		return ""
	}
	var f findings
	_, err := os.ReadFile(args[0])
	f.Input = say(err)
	_, err = os.ReadFile("/etc/passwd")
	f.Passwd = say(err)
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	f.Socket = say(err)
	f.Process = say(exec.Command("/bin/true").Run())
	f.File = say(os.WriteFile(args[1], []byte("here"), 0o600))
	_, err = unix.Mmap(-1, 0, 4<<30, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	f.Memory = say(err)
	f.UID = os.Getuid()
	f.Seccomp, _ = unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	f.NoNewPrivs, _ = unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		return 3
	}
	return 0
}

// lock runs a task in a jail; the test binary is helper and program.
func lock(t *testing.T, j Jail, b Bounds, task, input string, args ...string) (*exec.Cmd, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := j.Command(ctx, b, input, reachable(t), append([]string{input}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	c.Env = []string{taskEnv + "=" + task}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := j.Start(c, b); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	return c, out.String(), err
}

func (j Jail) has(name string) bool {
	for _, p := range j.Look() {
		if p.Name == name {
			return p.On
		}
	}
	return false
}

// reachable is a copy of the test binary that another user may execute.
func reachable(t *testing.T) string {
	t.Helper()
	body, err := os.ReadFile(Self)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "vstack-jail-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "prisoner")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, body, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// closedInput is a file that another user has no way to.
func closedInput(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	input := filepath.Join(dir, "film.mp4")
	if err := os.WriteFile(input, []byte("film"), 0o600); err != nil {
		t.Fatal(err)
	}
	return input
}

func TestJailedProgramHasItsInputAndNothingElse(t *testing.T) {
	j := Jail{Helper: Self}
	input := closedInput(t)
	out := filepath.Join(filepath.Dir(input), "out")
	_, said, err := lock(t, j, Bounds{Memory: 3 << 30, CPU: time.Minute, Files: 64, Threads: 256, Output: NoOutput}, "look", input, out)
	var f findings
	if e := json.Unmarshal([]byte(said), &f); err != nil || e != nil {
		t.Fatalf("%v, %v: %s", err, e, said)
	}
	t.Logf("%+v", f)
	if f.Input != "" {
		t.Errorf("input: %s", f.Input)
	}
	if f.NoNewPrivs != 1 || f.Memory == "" || f.File == "" {
		t.Errorf("new privileges %d, 4 GiB %q, a file %q", f.NoNewPrivs, f.Memory, f.File)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it wrote a file: %v", err)
	}
	if j.has(PartFiles) && (f.Passwd == "" || f.Process == "") {
		t.Errorf("it read another file (%q) or started a process (%q)", f.Passwd, f.Process)
	}
	if j.has(PartCalls) && (f.Socket == "" || f.Process == "" || f.Seccomp != 2) {
		t.Errorf("it has a socket (%q) or a process (%q), seccomp %d", f.Socket, f.Process, f.Seccomp)
	}
	if j.has(PartUser) && f.UID == os.Getuid() {
		t.Errorf("it runs as user %d", f.UID)
	}
}

func TestBoundThatEndedAChildIsNamed(t *testing.T) {
	b := Bounds{CPU: time.Second}
	for name, j := range map[string]Jail{"jailed": {Helper: Self, User: "root"}, "limits only": {}} {
		t.Run(name, func(t *testing.T) {
			c, said, err := lock(t, j, b, "spin", closedInput(t))
			if err == nil {
				t.Fatal("it ended by itself")
			}
			if got := b.Exceeded(c.ProcessState, said); !errors.Is(got, vstack.ErrMediaUnfit) || !strings.Contains(fmt.Sprint(got), "1s of processor time") {
				t.Errorf("%v: %v, %s", err, got, said)
			}
		})
	}
}

func TestLimitsHoldWithoutAHelper(t *testing.T) {
	input := closedInput(t)
	_, said, err := lock(t, Jail{}, Bounds{}, "look", input, input+".out")
	var f findings
	if e := json.Unmarshal([]byte(said), &f); err != nil || e != nil || f.Input != "" || f.Memory != "" || f.File != "" {
		t.Fatalf("unbounded: %v, %v: %s", err, e, said)
	}
	for _, l := range (Bounds{Memory: 1 << 30, Files: 9, Output: NoOutput}).limits(0) {
		switch l.resource {
		case unix.RLIMIT_AS:
			if l.value.Max != 1<<30 {
				t.Errorf("address space %d", l.value.Max)
			}
		case unix.RLIMIT_NOFILE:
			if l.value.Cur != 9 {
				t.Errorf("descriptors %d", l.value.Cur)
			}
		case unix.RLIMIT_FSIZE, unix.RLIMIT_CORE:
			if l.value.Max != 0 {
				t.Errorf("resource %d: %d", l.resource, l.value.Max)
			}
		default:
			t.Errorf("resource %d is bound", l.resource)
		}
	}
}

func TestHelperRefusesWhatItCannotDo(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no order":             {"x"},
		"no such input":        {fmt.Sprintf(`{"parent":%d,"input":"/none","program":%q}`, os.Getpid(), self)},
		"a parent that is not": {fmt.Sprintf(`{"parent":1,"program":%q}`, self)},
		"no such program":      {fmt.Sprintf(`{"parent":%d,"program":"/none"}`, os.Getpid())},
	} {
		t.Run(name, func(t *testing.T) {
			c := exec.Command(self, args...)
			c.Args[0] = Name
			out, err := c.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != Failed || !strings.HasPrefix(string(out), "jail: ") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
