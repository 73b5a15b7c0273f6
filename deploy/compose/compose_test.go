package compose

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vstack/vstack/deploy/monitoring"
)

var update = flag.Bool("update", false, "write the files that package deploy/monitoring makes anew")

// service is what is read of one; another key fails the test, so that each is thought of here.
type service struct {
	Build struct {
		Context, Target string
	}
	Image, User, Hostname, Restart string
	Command                        []string
	Profiles, Volumes, Tmpfs       []string
	Ports                          []string
	Environment                    map[string]string
	DependsOn                      map[string]struct{ Condition string } `yaml:"depends_on"`
	ReadOnly                       bool                                  `yaml:"read_only"`
	CapDrop                        []string                              `yaml:"cap_drop"`
	SecurityOpt                    []string                              `yaml:"security_opt"`
	Grace                          string                                `yaml:"stop_grace_period"`
}

type file struct {
	Name     string
	XHost    service `yaml:"x-host"`
	Services map[string]service
	Volumes  map[string]struct{}
}

func read(t *testing.T) file {
	t.Helper()
	body, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(body))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestServicesHangTogether(t *testing.T) {
	f := read(t)
	docker, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range f.Services {
		if s.Build.Target != "" && !strings.Contains(string(docker), " AS "+s.Build.Target+"\n") {
			t.Errorf("%s is built from target %s, which the Dockerfile has not", name, s.Build.Target)
		}
		if s.Build.Target == "" && (!strings.Contains(s.Image, ":") || strings.HasSuffix(s.Image, ":latest")) {
			t.Errorf("%s: image %q has no version", name, s.Image)
		}
		for other, on := range s.DependsOn {
			if _, ok := f.Services[other]; !ok || on.Condition != "service_completed_successfully" {
				t.Errorf("%s depends on %s, %+v", name, other, on)
			}
		}
		for _, v := range s.Volumes {
			from, to, _ := strings.Cut(v, ":")
			_, named := f.Volumes[from]
			if strings.HasPrefix(from, ".") {
				_, err := os.Stat(from)
				named = err == nil && strings.HasSuffix(to, ":ro")
			}
			if !named {
				t.Errorf("%s mounts %s: want a volume of the file, or a file of the project, read only", name, v)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to everybody", name, p)
			}
		}
		if s.Build.Target != "" && (!slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true")) {
			t.Errorf("%s keeps privileges", name)
		}
	}
}

// hosts are the names of the hosts that init makes.
func hosts(t *testing.T, f file) (names []string) {
	t.Helper()
	cmd := f.Services["init"].Command
	for _, h := range strings.Split(cmd[slices.Index(cmd, "--hosts")+1], ",") {
		name, addr, _ := strings.Cut(h, "=")
		if s, ok := f.Services[addr]; !ok || s.Hostname != addr || !slices.Contains(s.Command, "/cluster/lab/hosts/"+name+"/vstack.yaml") {
			t.Errorf("init makes host %s at %s: want a service of that name that runs it", name, addr)
		}
		names = append(names, name)
	}
	return names
}

func TestPrometheusAndGrafanaWatchTheHosts(t *testing.T) {
	s := monitoring.Scrapes{Cluster: "compose", CA: "/cluster/lab/client/ca.crt", Rules: "vstack.rules.yml", Every: 15 * time.Second}
	for _, h := range hosts(t, read(t)) {
		s.Hosts = append(s.Hosts, monitoring.Host{Name: h, Addr: map[string]string{"meta": h + ":8080", "data": h + ":8081", "ingest": h + ":8084", "gateway": h + ":8888"}})
	}
	prometheus, err := monitoring.PrometheusFile(s)
	if err != nil {
		t.Fatal(err)
	}
	source, err := monitoring.DataSource("http://prometheus:9090")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := monitoring.DashboardProvider("/var/lib/grafana/dashboards")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"prometheus.yml": prometheus, "grafana/datasources/vstack.yml": source, "grafana/dashboards/vstack.yml": pages} {
		path := filepath.FromSlash(name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what package deploy/monitoring writes: go test ./deploy/compose -update", name)
		}
	}
}
