package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/vstack/vstack/internal/vstack"
)

// Format is how a listing is printed.
type Format string

const (
	FormatTable Format = "table"
	FormatJSON  Format = "json"
	FormatYAML  Format = "yaml"
)

// ParseFormat checks -o.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatTable, FormatJSON, FormatYAML:
		return f, nil
	}
	return "", fmt.Errorf("-o %q: %w: want table, json or yaml", s, vstack.ErrInvalid)
}

// Printer writes a command's results.
type Printer struct {
	Out    io.Writer // data
	Err    io.Writer // for people
	Format Format
	// Width is how many cells a line of Out has; 0 where it is no terminal and nothing
	// must fit.
	Width int
	// Wide prints every column in full, whether it fits or not.
	Wide bool
}

// Print writes v as JSON or YAML, or the table made of it.
func (p *Printer) Print(v any, asTable func() Table) error {
	switch p.Format {
	case FormatJSON:
		enc := json.NewEncoder(p.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case FormatYAML:
		body, err := toYAML(v)
		if err != nil {
			return fmt.Errorf("print YAML: %w", err)
		}
		_, err = p.Out.Write(body)
		return err
	}
	return p.table(asTable())
}

// Say writes a line for people; with -o json or yaml it is silent only where data says
// the same.
func (p *Printer) Say(format string, args ...any) {
	fmt.Fprintf(p.Err, format+"\n", args...)
}

// toYAML goes through JSON, so that both have the same keys and text forms, and keeps
// the order of fields.
func toYAML(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var node yaml.Node // JSON is YAML; a node keeps the order
	if err := yaml.Unmarshal(body, &node); err != nil {
		return nil, err
	}
	plain(&node)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

// bare are the words that need no quotes in any version of YAML, unless boolish.
var (
	bare    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_/-]*( [A-Za-z0-9_/-]+)*$`)
	boolish = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null)$`)
)

// plain drops JSON's braces, and the quotes of words that every YAML reader takes for
// strings: YAML 1.1 reads yes and 1:20 as something else.
func plain(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || bare.MatchString(n.Value) && !boolish.MatchString(n.Value) {
		n.Style = 0
	}
	for _, c := range n.Content {
		plain(c)
	}
}

// IsTerminal reports whether f is one.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// TerminalWidth is how many cells a line of w has; 0 where w is no terminal.
func TerminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// Painter colours words on a terminal and leaves them alone elsewhere.
type Painter struct{ On bool }

func (p Painter) paint(code, s string) string {
	if !p.On {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p Painter) Bold(s string) string   { return p.paint("1", s) }
func (p Painter) Dim(s string) string    { return p.paint("2", s) }
func (p Painter) Good(s string) string   { return p.paint("32", s) }
func (p Painter) Warn(s string) string   { return p.paint("33", s) }
func (p Painter) Bad(s string) string    { return p.paint("31", s) }
func (p Painter) Accent(s string) string { return p.paint("36", s) }
