package main

import (
	"io"
	"net/http"
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

// TestADemoEndsInTheMidstOfADrill does a drill of the demo's own hosts, which ends well, and
// presses Ctrl-C while the next one has killed a host: the host comes back, is mended with, and
// nothing is left.
func TestADemoEndsInTheMidstOfADrill(t *testing.T) {
	long(t)
	needFFmpeg(t)
	dir := filepath.Join(t.TempDir(), "lab")
	cmd := exec.Command(os.Args[0], "demo", "--dir", dir, "--first-ip", loopback.Subnet(t)+".1", clip(t, "1", "0"))
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), asVstack+"=1"), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended
	said := func() string {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	link := regexp.MustCompile(`(http://[0-9.:]+)/#token=([\w-]+)`)
	poll(t, "the link to the pages", func() bool { return link.MatchString(said()) })
	found := link.FindStringSubmatch(said())
	ask := func(method, body string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, found[1]+"/v1/drills", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+found[2])
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s: %d %s, %v", method, resp.StatusCode, b, err)
		}
		return string(b)
	}
	ask(http.MethodPost, `{"name":"kill-leader","loads":["meta"]}`)
	poll(t, "the drill to end", func() bool { return strings.Contains(ask(http.MethodGet, ""), `"running":false`) })
	if got := ask(http.MethodGet, ""); !strings.Contains(got, `"expr":"lost_writes==0","value":0,"held":true`) || strings.Contains(got, `"held":false`) {
		t.Errorf("the drill: %s", got)
	}
	before := strings.Count(said(), "comes back in")
	ask(http.MethodPost, `{"name":"kill-leader","loads":["meta"]}`)
	poll(t, "a host to be killed", func() bool { return strings.Count(said(), "comes back in") > before })
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the demo: %v\n%s", err, said())
	}
	// A command that starts a host is waited for 30 s, three times.
	if took := time.Since(began); took > 30*time.Second || strings.Count(said(), "is back as process") < 2 {
		t.Errorf("it took %s to end:\n%s", took, said())
	}
	if p := processesIn(t, dir); len(p) > 0 {
		t.Errorf("left running: %v", p)
	}
}
