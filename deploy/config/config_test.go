package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

const hostFile = `
host: h1
meta:
  peers:
    - {id: h1, raft: "127.0.0.1:7080", api: "127.0.0.1:8080"}
    - {id: h2, raft: "127.0.0.2:7080", api: "127.0.0.2:8080"}
data:
  stores:
    - {dir: stores/1, addr: "127.0.0.1:8081", capacity: 10GiB}
ingest:
  addr: 127.0.0.1:8084
  max_upload: 1GiB
log:
  level: warn
`

func write(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), config.File)
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadServer(t *testing.T) {
	t.Run("file over defaults, paths made absolute", func(t *testing.T) {
		path := write(t, hostFile)
		s, err := config.LoadServer(path, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Data.Stores[0].Capacity != 10<<30 || s.Ingest.MaxUpload != 1<<30 || s.Data.Superblock != 1<<30 {
			t.Errorf("sizes: %+v", s)
		}
		if want := filepath.Join(filepath.Dir(path), "stores/1"); s.Data.Stores[0].Dir != want {
			t.Errorf("store dir %s, want %s", s.Data.Stores[0].Dir, want)
		}
		if got := s.APIs(); !cmp.Equal(got, []string{"127.0.0.1:8080", "127.0.0.2:8080"}) {
			t.Errorf("APIs: %v", got)
		}
		if !s.Has(config.RoleMeta) || s.Grace != 10*time.Second || s.DeadAfter != 10*time.Minute {
			t.Errorf("defaults: %+v", s)
		}
	})
	t.Run("environment beats the file, a flag beats the environment, --set beats all", func(t *testing.T) {
		path := write(t, hostFile)
		t.Setenv("VSTACK_LOG_LEVEL", "error")
		t.Setenv("VSTACK_INGEST_MAX_UPLOAD", "2GiB")
		t.Setenv("VSTACK_ROLES", "data,ingest")
		t.Setenv("VSTACK_GRACE", "3s")
		t.Setenv("VSTACK_CLUSTER", "elsewhere") // not a key of this file
		flags := pflag.NewFlagSet("t", pflag.ContinueOnError)
		flags.String("log-level", "info", "")
		flags.String("unrelated", "x", "")
		keys := config.FlagKeys{"log-level": "log.level"}

		s, err := config.LoadServer(path, flags, keys, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Log.Level != "error" || s.Ingest.MaxUpload != 2<<30 || s.Grace != 3*time.Second || s.Has(config.RoleMeta) {
			t.Errorf("environment is not in effect: %+v", s)
		}
		if err := flags.Parse([]string{"--log-level=debug"}); err != nil {
			t.Fatal(err)
		}
		if s, err = config.LoadServer(path, flags, keys, nil); err != nil || s.Log.Level != "debug" {
			t.Errorf("flag: %v, %v", s, err)
		}
		s, err = config.LoadServer(path, flags, keys, []config.Override{{Key: "log.level", Value: "info"}, {Key: "ingest.max_jobs", Value: "3"}})
		if err != nil || s.Log.Level != "info" || s.Ingest.MaxJobs != 3 {
			t.Errorf("override: %+v, %v", s, err)
		}
	})
	t.Run("the environment sets keys that a file leaves out", func(t *testing.T) {
		for name, value := range map[string]string{
			"VSTACK_DATA_KEY_IDENTITY": "/k/age.key", "VSTACK_DATA_KEY_WRAP_COMMAND": "kms,--region,eu", "VSTACK_DATA_ENCRYPT": "false", "VSTACK_DATA_DROP_GRACE": "3m",
			"VSTACK_DATA_SCRUB_RATE": "8MiB", "VSTACK_DATA_NO_BROWSERS": "true", "VSTACK_DATA_CATALOG": "/elsewhere", "VSTACK_DATA_OVERHEAD": "0.3",
			"VSTACK_TRACING_ENDPOINT": "http://127.0.0.1:4318", "VSTACK_GATEWAY_CONSENSUS": "127.0.0.1:8889", "VSTACK_GATEWAY_CACHE": "64MiB", "VSTACK_INGEST_OPEN": "true",
			"VSTACK_REMOVE_AFTER": "-1s",
		} {
			t.Run(name, func(t *testing.T) {
				path := write(t, hostFile)
				before, err := config.LoadServer(path, nil, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Setenv(name, value)
				after, err := config.LoadServer(path, nil, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := config.Marshal(after)
				if err != nil {
					t.Fatal(err)
				}
				if cmp.Equal(before, after) {
					t.Errorf("%s=%s changes nothing:\n%s", name, value, body)
				}
			})
		}
	})
	t.Run("what Marshal prints reads back the same", func(t *testing.T) {
		a, err := config.LoadServer(write(t, hostFile), nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := config.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), "capacity: 10GiB") || !strings.Contains(string(body), "grace: 10s") {
			t.Errorf("sizes and durations should print with units:\n%s", body)
		}
		b, err := config.LoadServer(write(t, string(body)), nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLoadServerRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, want string }{
		"an unknown key":                 {"log:\n", "lgo: {}\nlog:\n", "lgo"},
		"an unknown role":                {"host: h1", "host: h1\nroles: [meta, chef]", `"chef"`},
		"a host outside the peers":       {"host: h1", "host: h9", `"h9"`},
		"a bad host name":                {"host: h1", "host: 'H 1'", "host"},
		"a store address without a port": {"127.0.0.1:8081", "127.0.0.1", "data.stores[0].addr"},
		"a size without sense":           {"max_upload: 1GiB", "max_upload: lots", "max_upload"},
		"a level that is none":           {"level: warn", "level: loud", "log.level"},
		"a store that dies at once":      {"host: h1", "host: h1\ndead_after: 0s", "dead_after"},
		"two that open data keys":        {"data:\n", "data:\n  key: {identity: a.key, wrap_command: [kms]}\n", "data.key"},
		"profiles for the network":       {"host: h1", "host: h1\ndebug: 0.0.0.0:6060", "debug"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(hostFile, tc.from, tc.to, 1)
			if body == hostFile {
				t.Fatal("case does not change the file")
			}
			_, err := config.LoadServer(write(t, body), nil, nil, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.Is(err, vstack.ErrInvalid) {
				t.Errorf("got %v, want an INVALID_ARGUMENT that names %s", err, tc.want)
			}
		})
	}
	t.Run("a missing file", func(t *testing.T) {
		if _, err := config.LoadServer(filepath.Join(t.TempDir(), "none.yaml"), nil, nil, nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "512": 512, "1KiB": 1 << 10, "1.5MiB": 3 << 19, "4g": 4 << 30, "2 TB": 2 << 40, "64GiB": 64 << 30,
	} {
		got, err := config.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
		if back, err := config.ParseSize(got.String()); err != nil || back != got {
			t.Errorf("%q prints as %q, which reads as %d, %v", text, got, back, err)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "1EiB", "NaN", "1e40", "1 2"} {
		if got, err := config.ParseSize(text); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("ParseSize(%q) = %d, %v; want INVALID_ARGUMENT", text, got, err)
		}
	}
}

func TestLoadClient(t *testing.T) {
	path := write(t, "metastores: ['127.0.0.1:8080']\nuploaders: ['127.0.0.1:8084']\n")
	c, err := config.LoadClient(filepath.Dir(path), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.TLS != filepath.Dir(path) || c.Output != "table" {
		t.Errorf("got %+v", c)
	}
}
