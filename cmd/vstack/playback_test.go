package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/screening"
)

// TestPoliciesPlayBehindRealLinks has a film played from hosts in namespaces, by the smart client
// and by round robin, over one link of 8 Mbit/s and 40 ms.
func TestPoliciesPlayBehindRealLinks(t *testing.T) {
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: set VSTACK_SOAK=1 (make soak-lab) to play films over links between namespaces")
	}
	if err := screening.Available(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	needFFmpeg(t)
	dir := t.TempDir()
	page := filepath.Join(dir, "report.html")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "bench", "run", "playback", "--links", "thin", "--rounds", "2", "--length", "12s",
		"--dir", dir, "--html", page, "-o", "json")
	cmd.Env = append(os.Environ(), asVstack+"=1", "TMPDIR="+dir)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	_ = cmd.Run() // the report tells; a busy machine may miss a bound
	var r report.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%q: %v\n%s", out.String(), err, said.String())
	}
	t.Log(said.String())
	found := false
	for _, row := range r.Rows {
		if row.Name != "thin: first picture" {
			continue
		}
		found = true
		for _, p := range row.Pairs {
			// A handshake and a request are two round trips of 40 ms; no link was shaped if it took less.
			if p.Ours < 0.08 || p.Base < 0.08 {
				t.Errorf("first picture after %v s, a link with 40 ms of round trip lies between", p)
			}
		}
		if len(row.Pairs) == 0 {
			t.Errorf("no pair was played:\n%s", said.String())
		}
	}
	if !found {
		t.Errorf("no row of first pictures: %+v", r.Rows)
	}
	if body, err := os.ReadFile(page); err != nil || !strings.Contains(string(body), "thin: first picture") {
		t.Errorf("page: %v", err)
	}
}
