package memcap

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/bench/lab/owner"
)

// asEater has the test binary take memory, so much with each line that it is sent.
const asEater = "VSTACK_TEST_EATER"

func TestMain(m *testing.M) {
	if os.Getenv(asEater) != "" {
		var eaten [][]byte
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Println(len(eaten)) {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			eaten = append(eaten, b)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestAProcessThatNeedsMoreThanThereIsEnds(t *testing.T) {
	if err := Available(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	g, err := Make("test")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asEater+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.Take(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	eat := func() error {
		if _, err := io.WriteString(in, "\n"); err != nil {
			return err
		}
		_, err := answers.ReadString('\n')
		return err
	}
	for range 4 {
		if err := eat(); err != nil {
			t.Fatal(err)
		}
	}
	limit, err := g.Tighten()
	if err != nil || limit < 64<<20 || limit > 400<<20 {
		t.Fatalf("limit %d of a process that holds 64 MiB, %v", limit, err)
	}
	if err := g.Loosen(); err != nil {
		t.Fatal(err)
	}
	if err := eat(); err != nil {
		t.Fatalf("without a limit: %v", err)
	}
	if _, err := g.Tighten(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err = eat(); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("320 MiB more were to be had")
		_ = in.Close()
	}
	_ = cmd.Wait() // killed by the kernel
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.dir); err == nil {
		t.Errorf("left: %s", g.dir)
	}
}

func TestSweepRemovesWhatTheDeadHaveLeft(t *testing.T) {
	if err := Available(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	g, err := Make("kept")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	dead := filepath.Join(g.v.root, owner.Prefix+"1-99999999999-h1")
	if err := os.Mkdir(dead, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	// The kernel frees a removed group when it likes; its name is gone at once.
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dead); err != nil {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatalf("left: %s", dead)
		}
	}
	if _, err := os.Stat(g.dir); err != nil {
		t.Errorf("removed, although its maker runs: %v", err)
	}
}
