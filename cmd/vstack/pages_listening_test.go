package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
)

const (
	// listenedUploads run while a page listens, for profiled.
	listenedUploads = 12
	profiled        = 10 * time.Second
	// listeningShare is the most of the hosts' processor time that a page may cost which listens.
	listeningShare = 0.01
)

// TestListeningCostsHostsLittle profiles every host while a page listens to messages and twelve films
// are uploaded: what notes and tells them takes at most a hundredth of the hosts' processor time.
func TestListeningCostsHostsLittle(t *testing.T) {
	long(t)
	need(t, "go")
	needFFmpeg(t)
	s := newScenarioOf(t, lab.Spec{Stores: 2, Superblock: 64 << 20})
	for _, h := range s.lab.Hosts {
		file := filepath.Join(h.Dir, "vstack.yaml")
		conf, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, debugLine.ReplaceAll(conf, []byte("debug: "+debugOf(h))), 0o600)
		}
		if err == nil {
			err = h.Restart()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.ready()
	var files []string
	for i := range listenedUploads {
		files = append(files, filepath.Join(t.TempDir(), "film.mp4"))
		if err := players.Clip(t.Context(), files[i], players.Picture{Seconds: 20, Rate: "8000k", Seed: i}); err != nil {
			t.Fatal(err)
		}
	}
	heard := s.listens()
	s.step("a page listens, %d films are there", len(files))

	var uploads, profiles sync.WaitGroup
	for i, file := range files {
		uploads.Go(func() {
			if _, err := s.cluster.Upload(t.Context(), s.prog, file, cluster.UploadOptions{Title: fmt.Sprint("film ", i), Uploader: s.ingest(i % len(s.lab.Hosts))}); err != nil {
				t.Error(err)
			}
		})
	}
	var mu sync.Mutex
	var tap, all float64
	for _, h := range s.lab.Hosts {
		profiles.Go(func() {
			part, whole := s.profile(h)
			mu.Lock()
			defer mu.Unlock()
			tap, all = tap+part, all+whole
		})
	}
	profiles.Wait()
	n := heard()
	uploads.Wait()
	s.step("of %.2f s of processor time of three hosts listening took %.3f s, %.2f %%; %d messages and answers were told", all, tap, 100*tap/all, n)
	if n == 0 || all == 0 {
		t.Fatalf("%d messages were told, in %v s of processor time", n, all)
	}
	if tap/all > listeningShare {
		t.Errorf("listening took %.2f %% of the hosts' processor time, at most %.0f %%", 100*tap/all, 100*listeningShare)
	}
}

// debugOf is where a host serves profiles.
func debugOf(h *lab.Host) string {
	ip, _, _ := net.SplitHostPort(h.Config.Ingest.Addr)
	return net.JoinHostPort(ip, "6060")
}

// listens has a page listen until the test ends; heard tells how many messages and answers came.
func (s *scenario) listens() (heard func() int) {
	s.Helper()
	base, token, _ := strings.Cut(s.console(), "/#token=")
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, base+"/v1/paxos/messages", nil)
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.Fatal(err, resp)
	}
	var mu sync.Mutex
	n, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			mu.Lock()
			n += strings.Count(lines.Text(), `"number":`)
			mu.Unlock()
		}
	}()
	s.Cleanup(func() {
		_ = resp.Body.Close()
		<-done
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

var debugLine = regexp.MustCompile(`(?m)^debug:.*$`)

var accounted = regexp.MustCompile(`accounting for ([0-9.]+)s?, [0-9.]+% of ([0-9.]+)s total`)

// profile is how many seconds of a host's processor time went into listening, and how many there were.
func (s *scenario) profile(h *lab.Host) (tap, all float64) {
	resp, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", debugOf(h), int(profiled.Seconds())))
	if err != nil {
		s.Error(err)
		return 0, 0
	}
	defer resp.Body.Close()
	file := filepath.Join(s.TempDir(), string(h.ID))
	f, err := os.Create(file)
	if err == nil {
		_, err = io.Copy(f, resp.Body)
		_ = f.Close()
	}
	if err != nil {
		s.Error(err)
		return 0, 0
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-unit=s", "-focus=datanode/tap", file).CombinedOutput()
	found := accounted.FindSubmatch(out)
	if err != nil || found == nil {
		s.Errorf("profile of %s: %v: %s", h.ID, err, out)
		return 0, 0
	}
	tap, _ = strconv.ParseFloat(string(found[1]), 64)
	all, _ = strconv.ParseFloat(string(found[2]), 64)
	return tap, all
}
