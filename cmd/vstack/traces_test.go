package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/tracing/collector"
	"github.com/vstack/vstack/internal/vstack"
)

// TestAnUploadAndAColdReadAsTraces follows both through all processes, and prints them as trees.
func TestAnUploadAndAColdReadAsTraces(t *testing.T) {
	long(t)
	needFFmpeg(t)
	var c collector.Collector
	to := httptest.NewServer(&c)
	defer to.Close()
	s := newScenarioOf(t, lab.Spec{Superblock: 64 << 20, DropGrace: time.Second})
	d := &alertDrill{scenario: s, hosts: s.lab.Hosts}
	d.each(func(cfg *config.Server) { cfg.Tracing.Endpoint = to.URL }, d.hosts...)()
	s.ready()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)

	upload := d.traced("video", "upload", clip(t, "6", "1"), "--title", "traced")
	films, err := s.cluster.Videos(t.Context(), vstack.VideoPublished, 0)
	if err != nil || len(films) != 1 {
		t.Fatal(films, err)
	}
	film := films[0].ID
	d.holds(&c, upload, "vstack video upload", "PATCH /v1/files", "upload job", "cut with FFmpeg", "commit chunk", "put to a store", "PUT /v1/chunks/…", "receive chunk", "append to superblock", "PUT at the metastore", "raft commit")
	t.Logf("an upload, trace %s:\n%s", upload, c.Tree(upload, 3))

	s.vstackJSON(nil, "video", "pin", film.String(), "cold", "--wait")
	read := d.traced("video", "play", film.String())
	d.holds(&c, read, "vstack video play", "fetch chunk", "get from a store", "GET /v1/chunks/…", "read superblock")
	t.Logf("a cold read, trace %s:\n%s", read, c.Tree(read, 9))
}

// traced runs a command and answers its trace.
func (d *alertDrill) traced(args ...string) string {
	d.Helper()
	old := os.Stderr // where the command says its trace
	r, w, err := os.Pipe()
	d.must(err)
	os.Stderr = w
	var out, errOut bytes.Buffer
	code := run(append([]string{"--cluster", d.lab.Client, "--progress", "none"}, args...), &out, &errOut)
	os.Stderr = old
	d.must(w.Close())
	said, err := io.ReadAll(r)
	d.must(err)
	m := regexp.MustCompile(`trace ([0-9a-f]{32})`).FindSubmatch(said)
	if code != 0 || m == nil {
		d.Fatalf("vstack %s: exit %d: %s %s", strings.Join(args, " "), code, errOut.String(), said)
	}
	return string(m[1])
}

// holds waits until a trace has spans of the names, from at least three processes.
func (d *alertDrill) holds(c *collector.Collector, trace string, names ...string) {
	d.Helper()
	defer func() {
		if d.Failed() {
			d.Logf("the trace:\n%s", c.Tree(trace, 3))
		}
	}()
	d.until(fmt.Sprintf("spans %v", names), func() bool {
		hosts := map[string]bool{}
		var got []string
		for _, s := range c.Spans(trace) {
			hosts[s.Host] = true
			got = append(got, s.Name)
		}
		for _, name := range names {
			if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, name) }) {
				return false
			}
		}
		return len(hosts) > len(d.hosts) // each host, and the command
	})
}

// TestWhatTracingCosts compares uploads and reads with and without spans, in turn on one lab.
func TestWhatTracingCosts(t *testing.T) {
	long(t)
	needFFmpeg(t)
	taken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer taken.Close()
	s := newScenarioOf(t, lab.Spec{Superblock: 64 << 20})
	d := &alertDrill{scenario: s, hosts: s.lab.Hosts}
	file := clip(t, "8", "9") // 60 MB
	type setting struct {
		name  string
		ratio float64
		on    bool
	}
	settings := []setting{{"off", 0, false}, {"1 %", 0.01, true}, {"100 %", 1, true}}
	took := map[string][2][]float64{}
	for range 5 {
		for _, set := range settings {
			d.each(func(cfg *config.Server) {
				cfg.Tracing = config.Tracing{}
				if set.on {
					cfg.Tracing = config.Tracing{Endpoint: taken.URL, Ratio: set.ratio}
				}
			}, d.hosts...)()
			s.ready()
			began := time.Now()
			s.vstackJSON(nil, "video", "upload", file)
			up := time.Since(began).Seconds()
			films, err := s.cluster.Videos(t.Context(), vstack.VideoPublished, 1)
			d.must(err)
			began = time.Now()
			for range 3 {
				s.vstackJSON(nil, "video", "play", films[0].ID.String(), "--speed", "max")
			}
			now := took[set.name]
			now[0], now[1] = append(now[0], up), append(now[1], time.Since(began).Seconds())
			took[set.name] = now
		}
	}
	for i, what := range []string{"upload", "play"} {
		base := middle(took["off"][i])
		for _, set := range settings {
			t.Logf("%-6s tracing %-5s median %.2f s of 5, ratio %.3f; all: %.2f", what, set.name, middle(took[set.name][i]), middle(took[set.name][i])/base, took[set.name][i])
		}
	}
}

func middle(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
