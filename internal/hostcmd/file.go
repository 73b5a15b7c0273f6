package hostcmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxFile, maxHosts and maxCommand bound what is read.
	maxFile    = 1 << 20
	maxHosts   = 64
	maxCommand = 4 << 10

	defaultTimeout = 30 * time.Second
	minTimeout     = 100 * time.Millisecond
	maxTimeout     = 10 * time.Minute
)

// File is what a file of hosts says.
type File struct{ Hosts []*Host }

// yamlFile is its form. The keys of a host beside id are actions.
type yamlFile struct {
	Timeout  *string           `yaml:"timeout"`
	Commands map[string]string `yaml:"commands"`
	Hosts    []yamlHost        `yaml:"hosts"`
}

type yamlHost struct {
	ID       string            `yaml:"id"`
	Commands map[string]string `yaml:",inline"`
}

// Load reads a file of hosts.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read hosts: %w: %w", vstack.ErrNotFound, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read hosts: %w", err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read hosts: %w", err)
	}
	out, err := Parse(body)
	if err != nil {
		return nil, fmt.Errorf("read hosts from %s: %w", path, err)
	}
	return out, nil
}

// Parse reads the text of such a file. What it does not know it refuses (ErrInvalid).
func Parse(text []byte) (*File, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", vstack.ErrInvalid, maxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var y yamlFile
	if err := dec.Decode(&y); err != nil {
		return nil, fmt.Errorf("%w: %w", vstack.ErrInvalid, err)
	}
	if err := dec.Decode(&yamlFile{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", vstack.ErrInvalid)
	}
	if n := len(y.Hosts); n < 1 || n > maxHosts {
		return nil, fmt.Errorf("%w: %d hosts, want 1 to %d", vstack.ErrInvalid, n, maxHosts)
	}
	timeout, err := y.timeout()
	if err != nil {
		return nil, err
	}
	if err := check("commands", y.Commands); err != nil {
		return nil, err
	}
	out := &File{}
	for _, yh := range y.Hosts {
		id, err := vstack.ParseHostID(yh.ID)
		if err != nil {
			return nil, err
		}
		if out.Host(id) != nil {
			return nil, fmt.Errorf("host %s: %w: named twice", id, vstack.ErrInvalid)
		}
		if err := check("host "+string(id), yh.Commands); err != nil {
			return nil, err
		}
		h := &Host{ID: id, timeout: timeout, commands: map[Action]string{}}
		for _, commands := range []map[string]string{y.Commands, yh.Commands} {
			for action, text := range commands {
				h.commands[Action(action)] = text
			}
		}
		out.Hosts = append(out.Hosts, h)
	}
	return out, nil
}

func (y yamlFile) timeout() (time.Duration, error) {
	if y.Timeout == nil {
		return defaultTimeout, nil
	}
	d, err := time.ParseDuration(*y.Timeout)
	if err != nil || d < minTimeout || d > maxTimeout {
		return 0, fmt.Errorf("timeout %.40q: %w: want %v to %v", *y.Timeout, vstack.ErrInvalid, minTimeout, maxTimeout)
	}
	return d, nil
}

func check(whose string, commands map[string]string) error {
	for action, text := range commands {
		switch {
		case !slices.Contains(Actions(), Action(action)):
			return fmt.Errorf("%s: %.40q: %w: want %s", whose, action, vstack.ErrInvalid, list(Actions()))
		case strings.TrimSpace(text) == "":
			return fmt.Errorf("%s: %s: %w: no command", whose, action, vstack.ErrInvalid)
		case len(text) > maxCommand || strings.ContainsRune(text, 0):
			return fmt.Errorf("%s: %s: %w: want a command of at most %d bytes, without a zero byte", whose, action, vstack.ErrInvalid, maxCommand)
		}
	}
	return nil
}

// Host returns the host with an id, or nil.
func (f *File) Host(id vstack.HostID) *Host {
	for _, h := range f.Hosts {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// Want refuses with a list of the commands that hosts lack.
func (f *File) Want(actions ...Action) error {
	var lacking []string
	for _, h := range f.Hosts {
		var none []Action
		for _, a := range actions {
			if !h.Has(a) {
				none = append(none, a)
			}
		}
		if len(none) > 0 {
			lacking = append(lacking, fmt.Sprintf("host %s has no command to %s", h.ID, list(none)))
		}
	}
	if lacking == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", vstack.ErrInvalid, strings.Join(lacking, "; "))
}

func list(actions []Action) string {
	var out []string
	for _, a := range actions {
		out = append(out, string(a))
	}
	return strings.Join(out, ", ")
}
