package monitoring

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Runbook is where the sections of the rules are; a fork changes it here.
const Runbook = "https://github.com/vstack/vstack/blob/main/docs/runbook.md"

// Anchor is a rule's section of the runbook.
func (r Rule) Anchor() string { return strings.ToLower(r.Name) }

type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name     string     `yaml:"name"`
	Interval string     `yaml:"interval,omitempty"`
	Rules    []ruleYAML `yaml:"rules"`
}

type ruleYAML struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// RulesFile is rules as Prometheus reads them; every is how often they are evaluated, 0 as
// often as Prometheus is told to.
func RulesFile(rules []Rule, every time.Duration) ([]byte, error) {
	group := ruleGroup{Name: "vstack"}
	if every > 0 {
		group.Interval = every.String()
	}
	for _, r := range rules {
		group.Rules = append(group.Rules, ruleYAML{
			Alert: r.Name, Expr: r.Expr, For: fmt.Sprintf("%ds", int(r.Hold.Seconds())), Labels: map[string]string{"severity": r.Severity},
			Annotations: map[string]string{"summary": r.Summary, "description": r.Detail, "runbook_url": Runbook + "#" + r.Anchor()},
		})
	}
	return encode("Alerts of a V-Stack cluster. Written by package deploy/monitoring: change them there.", ruleFile{[]ruleGroup{group}})
}

// encode writes YAML below a comment.
func encode(head string, v any) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\n", head)
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}
