package host

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/wire"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// everyRole is the configuration of a host that is a cluster by itself.
func everyRole(t *testing.T) *config.Server {
	t.Helper()
	dir := t.TempDir()
	ip := loopback.Subnet(t) + ".1"
	addr := func(port int) string { return fmt.Sprintf("%s:%d", ip, port) }
	ca, err := identity.CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Issue(filepath.Join(dir, "tls"), identity.Spec{Role: identity.RoleHost, ID: "h1", Addrs: []string{ip}}); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultServer()
	cfg.Host, cfg.TLS, cfg.Roles = "h1", filepath.Join(dir, "tls"), []string{config.RoleMeta, config.RoleData, config.RoleIngest, config.RoleGateway}
	cfg.Meta.Dir, cfg.Meta.Peers = filepath.Join(dir, "meta"), []config.Peer{{ID: "h1", Raft: addr(7080), API: addr(8080)}}
	cfg.Data.Catalog, cfg.Data.Superblock = filepath.Join(dir, "catalog"), 64<<20
	cfg.Data.Stores = []config.Store{{Dir: filepath.Join(dir, "store"), Addr: addr(8081)}}
	cfg.Ingest.Addr, cfg.Ingest.Dir = addr(8084), filepath.Join(dir, "spool")
	cfg.Gateway.Addr, cfg.Gateway.Consensus = addr(8888), addr(8889)
	return &cfg
}

// openHost opens a host of its own cluster with every role.
func openHost(t *testing.T, change ...func(*config.Server)) *host {
	t.Helper()
	cfg := everyRole(t)
	for _, f := range change {
		f(cfg)
	}
	h := newHost(cfg, wire.Version{Version: "v1"}, slog.New(slog.DiscardHandler))
	if err := h.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.closeAll(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// row is a metric as docs/metrics.md shows it.
type row struct{ name, kind, labels, help string }

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: (".*"), constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// rows are the metrics of a registry that are V-Stack's own.
func rows(t *testing.T, r *prometheus.Registry) []row {
	t.Helper()
	kinds := map[string]string{}
	for _, f := range gather(t, r) {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		r.Describe(ch)
	}()
	by := map[string]row{}
	for d := range ch {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("not understood: %s", d)
		}
		if !strings.HasPrefix(m[1], "vstack_") {
			continue
		}
		var help string
		if _, err := fmt.Sscanf(m[2], "%q", &help); err != nil {
			t.Fatalf("%s: help %s: %v", m[1], m[2], err)
		}
		var labels []string
		for _, l := range strings.Split(m[3]+","+m[4], ",") {
			if name, _, _ := strings.Cut(strings.TrimPrefix(l, "c("), "="); name != "" {
				labels = append(labels, "`"+name+"`")
			}
		}
		kind := kinds[m[1]]
		switch {
		case kind != "":
		case strings.HasSuffix(m[1], "_total"):
			kind = "counter"
		case strings.HasSuffix(m[1], "_seconds") && !strings.HasPrefix(m[1], "vstack_metastore_") && !strings.Contains(m[1], "_link_"):
			kind = "histogram" // of a vector that nothing was observed in yet
		default:
			kind = "gauge"
		}
		by[m[1]] = row{m[1], kind, strings.Join(labels, ", "), help}
	}
	var out []row
	for _, r := range by {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b row) int { return strings.Compare(a.name, b.name) })
	return out
}

func gather(t *testing.T, r *prometheus.Registry) []*dto.MetricFamily {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

const metricsHead = `# Metrics

Every port of every role answers ` + "`GET /metrics`" + ` in the text format of Prometheus: the figures of that role, those of the
Go runtime and of the process. A host's stores answer the same, so one of its store ports is enough. What is said *on the leader*
is absent, zero or not a number on members that do not lead: take the maximum over all members. Which of these matter, and what
to do about them, is in [monitoring](monitoring.md). This page is written by
` + "`go test ./deploy/host -run TestMetricsAreDocumented -update`" + `, and the test holds it to what the roles register.
`

// TestMetricsAreDocumented holds docs/metrics.md to what the roles register; rules and
// dashboards are held to that page.
func TestMetricsAreDocumented(t *testing.T) {
	h := openHost(t)
	var page strings.Builder
	page.WriteString(metricsHead)
	for _, role := range []struct{ name, title string }{
		{config.RoleMeta, "Metastore"}, {config.RoleData, "Datanode"}, {config.RoleIngest, "Uploader"}, {config.RoleGateway, "Gateway"},
	} {
		fmt.Fprintf(&page, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", role.title)
		for _, r := range rows(t, h.registries[role.name]) {
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", r.name, r.kind, r.labels, strings.ReplaceAll(r.help, "|", "\\|"))
		}
	}
	path := filepath.Join("..", "..", "docs", "metrics.md")
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page.String() {
		t.Error("docs/metrics.md is not what the roles register; see its head for how to write it anew")
	}
}

// TestMetricsAreCleanByPromtool has Prometheus' own linter look at what each role answers.
func TestMetricsAreCleanByPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: promtool is not installed (Debian package prometheus)")
	}
	h := openHost(t)
	for role, r := range h.registries {
		var text bytes.Buffer
		enc := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
		for _, f := range gather(t, r) {
			if err := enc.Encode(f); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(context.Background(), promtool, "check", "metrics")
		cmd.Stdin = &text
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("role %s: %v\n%s", role, err, out)
		}
	}
}
