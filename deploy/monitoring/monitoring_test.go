package monitoring

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files that the project ships anew")

const docs = "../../docs"

// ships compares a file of the project with what this package writes, or writes it.
func ships(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(want) {
		t.Errorf("%s is not what this package writes: go test ./deploy/monitoring -update", path)
	}
}

func TestShippedFilesAreThoseOfTheCode(t *testing.T) {
	rules, err := RulesFile(Rules(DefaultTimes()), 0)
	if err != nil {
		t.Fatal(err)
	}
	ships(t, "../prometheus/vstack.rules.yml", rules)
}

var metric = regexp.MustCompile(`vstack_[a-z0-9_]+`)

// registered are the metrics of docs/metrics.md, which package deploy/host holds to what
// the roles register.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(docs, "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(vstack_[a-z0-9_]+)` \\| (\\w+)").FindAllStringSubmatch(string(page), -1) {
		out[m[1]] = true
		if m[2] == "histogram" {
			out[m[1]+"_bucket"], out[m[1]+"_sum"], out[m[1]+"_count"] = true, true, true
		}
	}
	if len(out) < 100 {
		t.Fatalf("docs/metrics.md has %d metrics: is it read rightly?", len(out))
	}
	return out
}

func TestRulesNameMetricsThatRolesRegister(t *testing.T) {
	known := registered(t)
	for _, r := range Rules(DefaultTimes()) {
		names := metric.FindAllString(r.Expr, -1)
		if len(names) == 0 && !strings.Contains(r.Expr, "up{") {
			t.Errorf("%s names no metric", r.Name)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s names %s, which no role registers", r.Name, name)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join(docs, "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range metric.FindAllString(string(page), -1) {
		if !known[name] {
			t.Errorf("docs/monitoring.md names %s, which no role registers", name)
		}
	}
}

func TestEachRuleHasItsSectionAndItsCases(t *testing.T) {
	runbook, err := os.ReadFile(filepath.Join(docs, "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadFile("../prometheus/vstack.rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	quiet, faults, ok := strings.Cut(string(cases), "\n  - name: all members answer")
	if !ok {
		t.Fatal("the cases do not begin with the cluster that is well")
	}
	for _, r := range Rules(DefaultTimes()) {
		if !strings.Contains(string(runbook), "\n### "+r.Name+"\n") {
			t.Errorf("docs/runbook.md has no section %q", "### "+r.Name)
		}
		if !strings.Contains(quiet, "alertname: "+r.Name+", ") {
			t.Errorf("no case in which %s does not fire", r.Name)
		}
		if !strings.Contains(faults, "alertname: "+r.Name+"\n") {
			t.Errorf("no case in which %s fires", r.Name)
		}
	}
}

// promtool runs Prometheus' own checker, or skips.
func promtool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: promtool is not installed (Debian package prometheus)")
	}
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPromtoolTakesTheRulesAndTheirCases(t *testing.T) {
	t.Log(promtool(t, "../prometheus", "check", "rules", "vstack.rules.yml"))
	t.Log(promtool(t, "../prometheus", "test", "rules", "vstack.rules_test.yml"))
}

func TestPromtoolTakesTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, body []byte, err error) string {
		t.Helper()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), body, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	rules, err := RulesFile(Rules(DefaultTimes()), 0)
	s := Scrapes{
		Cluster: "c", CA: write("ca.crt", nil, nil), Rules: write("rules.yml", rules, err),
		Hosts: []Host{{Name: "b", Addr: map[string]string{"meta": "10.0.0.2:8080", "data": "10.0.0.2:8081"}}, {Name: "a", Addr: map[string]string{"meta": "[fd00::1]:8080"}}},
	}
	body, err := PrometheusFile(s)
	t.Log(promtool(t, dir, "check", "config", write("prometheus.yml", body, err)))
}
