package config

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/vstack/vstack/internal/vstack"
)

// Doc is a configuration file whose values can be changed while its comments, its order and
// the keys that nobody asked for stay as somebody wrote them.
type Doc struct {
	root    yaml.Node
	changed bool
}

// ReadDoc reads the file at path.
func ReadDoc(path string) (*Doc, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	d := &Doc{}
	if err := yaml.Unmarshal(body, &d.root); err != nil {
		return nil, fmt.Errorf("read configuration %s: %w: %w", path, vstack.ErrInvalid, err)
	}
	if len(d.root.Content) != 1 || d.root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("read configuration %s: %w: it is no map of keys", path, vstack.ErrInvalid)
	}
	return d, nil
}

// Set gives the key at path a value, and makes the maps that lead to it.
func (d *Doc) Set(value any, path ...string) error {
	var next yaml.Node
	if err := next.Encode(value); err != nil {
		return fmt.Errorf("change configuration: %w", err)
	}
	at := d.root.Content[0]
	for _, key := range path {
		if at.Kind != yaml.MappingNode {
			*at = yaml.Node{Kind: yaml.MappingNode, HeadComment: at.HeadComment}
		}
		at = child(at, key)
	}
	next.HeadComment, next.LineComment, next.FootComment = at.HeadComment, at.LineComment, at.FootComment
	*at = next
	d.changed = true
	return nil
}

// child is the value of a key, which is made where it is not there.
func child(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"})
	return m.Content[len(m.Content)-1]
}

// Replace has every text of the keys below path that is old say new instead, and reports
// whether there was one.
func (d *Doc) Replace(old, new string, path ...string) bool {
	at := d.root.Content[0]
	for _, key := range path {
		i := -1
		if at.Kind == yaml.MappingNode {
			i = slices.IndexFunc(at.Content, func(n *yaml.Node) bool { return n.Value == key })
		}
		if i < 0 || i+1 >= len(at.Content) {
			return false
		}
		at = at.Content[i+1]
	}
	found := replace(at, old, new)
	d.changed = d.changed || found
	return found
}

func replace(n *yaml.Node, old, new string) bool {
	found := n.Kind == yaml.ScalarNode && n.Value == old
	if found {
		n.Value = new
	}
	for _, c := range n.Content {
		found = replace(c, old, new) || found
	}
	return found
}

// Changed reports whether anything was.
func (d *Doc) Changed() bool { return d.changed }

// Bytes is the file as it is now.
func (d *Doc) Bytes() ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(4)
	if err := enc.Encode(&d.root); err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out.Bytes(), enc.Close()
}

// Save replaces the file at path, with its mode, if anything changed.
func (d *Doc) Save(path string) error {
	if !d.changed {
		return nil
	}
	body, err := d.Bytes()
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.WriteFile(path+".new", body, info.Mode().Perm()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
