package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	kyaml "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/vstack/vstack/internal/vstack"
)

// File is the name of the configuration file in a host's and a client's directory.
const File = "vstack.yaml"

// envPrefix starts every environment variable that configures V-Stack.
const envPrefix = "VSTACK_"

// tag names the keys in Go structs, for reading and printing alike.
const tag = "yaml"

// FlagKeys names the configuration key of each command-line flag that sets one.
type FlagKeys map[string]string

// Override is one --set KEY=VALUE.
type Override struct{ Key, Value string }

// ParseOverride reads KEY=VALUE.
func ParseOverride(s string) (Override, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return Override{}, fmt.Errorf("--set %q: %w: want KEY=VALUE, such as log.level=debug", s, vstack.ErrInvalid)
	}
	return Override{Key: key, Value: value}, nil
}

// LoadServer reads and validates a host's configuration. Paths of the result are
// absolute. flags may be nil.
func LoadServer(path string, flags *pflag.FlagSet, keys FlagKeys, sets []Override) (*Server, error) {
	s := DefaultServer()
	if err := load(path, &s, flags, keys, sets); err != nil {
		return nil, err
	}
	base, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("directory of %s: %w", path, err)
	}
	abs := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	abs(&s.TLS)
	abs(&s.Meta.Dir)
	abs(&s.Ingest.Dir)
	abs(&s.Gateway.Cert)
	abs(&s.Gateway.Key)
	if s.Data.Catalog == "" {
		s.Data.Catalog = CatalogDir
	}
	abs(&s.Data.Catalog)
	abs(&s.Data.Key.Identity)
	abs(&s.Data.Key.Recipients)
	for i := range s.Data.Stores {
		abs(&s.Data.Stores[i].Dir)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return &s, nil
}

// load fills out, which holds the defaults, from file, environment, flags and
// overrides, weakest first.
func load[T any](path string, out *T, flags *pflag.FlagSet, keys FlagKeys, sets []Override) error {
	k := koanf.New(".")
	if err := k.Load(structs.Provider(*out, tag), nil); err != nil {
		return fmt.Errorf("defaults: %w", err)
	}
	known := envNames(keysOf(reflect.TypeFor[T](), ""))
	if err := k.Load(file.Provider(path), kyaml.Parser()); err != nil {
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	fromEnv := env.ProviderWithValue(envPrefix, ".", func(name, value string) (string, any) {
		return known[name], value // "" drops variables that mean something else
	})
	if err := k.Load(fromEnv, nil); err != nil {
		return fmt.Errorf("read %s* environment: %w", envPrefix, err)
	}
	if flags != nil {
		fromFlags := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
			if !f.Changed {
				return "", nil
			}
			return keys[f.Name], posflag.FlagVal(flags, f)
		})
		if err := k.Load(fromFlags, nil); err != nil {
			return fmt.Errorf("read flags: %w", err)
		}
	}
	for _, s := range sets {
		if err := k.Set(s.Key, s.Value); err != nil {
			return fmt.Errorf("--set %s: %w", s.Key, err)
		}
	}
	err := k.UnmarshalWithConf("", out, koanf.UnmarshalConf{Tag: tag, DecoderConfig: &mapstructure.DecoderConfig{
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
			mapstructure.StringToSliceHookFunc(","),
		),
		WeaklyTypedInput: true,
		ErrorUnused:      true,
	}})
	if err != nil {
		return fmt.Errorf("configuration %s: %w: %w", path, vstack.ErrInvalid, err)
	}
	return nil
}

// keysOf lists the keys of a configuration, those too that a file leaves out.
func keysOf(t reflect.Type, prefix string) (keys []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get(tag), ",")
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(f.Type, prefix+name+".")...)
			continue
		}
		keys = append(keys, prefix+name)
	}
	return keys
}

// envNames maps VSTACK_META_DIR to meta.dir for every key.
func envNames(keys []string) map[string]string {
	out := make(map[string]string, len(keys))
	for _, key := range keys {
		out[EnvName(key)] = key
	}
	return out
}

// EnvName is the environment variable of a key.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// Marshal prints a configuration as the YAML that Load reads.
func Marshal(v any) ([]byte, error) {
	out, err := yaml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out, nil
}

// Write replaces path with v as YAML, after a comment.
func Write(path, comment string, v any) error {
	body, err := Marshal(v)
	if err != nil {
		return err
	}
	var text strings.Builder
	for line := range strings.Lines(comment) {
		text.WriteString("# " + strings.TrimRight(line, "\n") + "\n")
	}
	text.Write(body)
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write configuration %s: %w", path, err)
	}
	return nil
}

// Client is the vstack.yaml of a client bundle.
type Client struct {
	// Metastores and Uploaders are the HOST:PORT to ask, in any order.
	Metastores []string `yaml:"metastores"`
	Uploaders  []string `yaml:"uploaders"`
	// Gateways are told how playbacks fare; empty tells nobody.
	Gateways []string `yaml:"gateways,omitempty"`
	// TLS is the directory of ca.crt and, for those who may write, tls.crt and tls.key.
	TLS string `yaml:"tls"`
	// Output is the default of -o.
	Output string `yaml:"output"`
	// Timeout is the default of --timeout; 0 means the command's own.
	Timeout time.Duration `yaml:"timeout"`
}

// LoadClient reads DIR/vstack.yaml of a client bundle.
func LoadClient(dir string, flags *pflag.FlagSet, keys FlagKeys) (*Client, error) {
	c := Client{TLS: ".", Output: "table"}
	if err := load(filepath.Join(dir, File), &c, flags, keys, nil); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(c.TLS) {
		c.TLS = filepath.Join(dir, c.TLS)
	}
	if len(c.Metastores) == 0 {
		return nil, fmt.Errorf("client bundle %s: metastores: %w: want at least one HOST:PORT", dir, vstack.ErrInvalid)
	}
	return &c, nil
}
