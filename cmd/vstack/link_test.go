package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/link/linkcmd"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/loopback"
)

func TestLinkTellsWhatPassed(t *testing.T) {
	ip := loopback.Subnet(t) + ".1"
	server, err := net.ListenPacket("udp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	type outcome struct {
		code        int
		out, errOut string
	}
	ended := make(chan outcome)
	go func() {
		code, out, errOut := try("link", "--listen", ip+":9000", "--to", server.LocalAddr().String(), "--proto", "udp",
			"--profile", "normal", "--delay", "30ms", "--for", "3s", "-o", "json")
		ended <- outcome{code, out, errOut}
	}()
	// One word after the other until the first has passed: the relay may not listen yet.
	client, err := net.Dial("udp", ip+":9000")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	buf := make([]byte, 100)
	var began time.Time
	for n := 0; n == 0; {
		began = time.Now()
		_, _ = client.Write([]byte("word")) // refused until the relay listens
		_ = server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, _, err = server.ReadFrom(buf)
		if err != nil && time.Since(began) > 10*time.Second {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("a packet came after %v", took)
	}
	got := <-ended
	if got.code == console.ExitAgain { // the machine was busy: it says so, and no figures
		if !strings.Contains(got.errOut, "late") || got.out != "" {
			t.Errorf("%+v", got)
		}
		t.Log("the machine was late, and the command said so in place of figures: ", got.errOut)
		return
	}
	var r linkcmd.Report
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	if r.Up.Packets < 1 || r.Up.Bytes != r.Up.Packets*(4+28) || r.Down.Packets != 0 || r.Processor <= 0 || r.Listen != ip+":9000" {
		t.Errorf("%+v", r)
	}
}

func TestLinkRefusesWhatItCannotPlay(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"loss on TCP":      {[]string{"--loss", "1%"}, console.ExitUsage, "acknowledged"},
		"a lossy profile":  {[]string{"--profile", "loss", "--proto", "tcp"}, console.ExitUsage, "acknowledged"},
		"no such profile":  {[]string{"--profile", "lossy"}, console.ExitNotFound, "node-failure"},
		"no such protocol": {[]string{"--proto", "sctp"}, console.ExitUsage, "udp, tcp"},
		"no such trace":    {[]string{"--trace", "/none.json"}, console.ExitError, "/none.json"},
		"a rate in bytes":  {[]string{"--rate", "5MB"}, console.ExitUsage, "50Mbit"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := try(append([]string{"link", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"}, tc.args...)...)
			if code != tc.code || !strings.Contains(errOut, tc.says) || out != "" {
				t.Errorf("exit %d, want %d; stderr %q, stdout %q", code, tc.code, errOut, out)
			}
		})
	}
}
