package cluster

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// remembered is what a command keeps of an upload that is under way, so that a later one
// goes on with it: where it is, and what was asked for.
type remembered struct {
	Size     int64           `json:"size"`
	Modified time.Time       `json:"modified"`
	Addr     string          `json:"addr"`
	Part     string          `json:"part,omitempty"` // URL
	Upload   vstack.UploadID `json:"upload,omitzero"`

	Title        string   `json:"title"`
	Renditions   []string `json:"renditions"`
	Class        string   `json:"class"`
	KeepOriginal bool     `json:"keep_original"`
	Visibility   string   `json:"visibility,omitempty"`
}

// memory is the file of one upload's state; "" remembers nothing.
type memory string

// memoryOf names it after the cluster and the file.
func (c *Cluster) memoryOf(dir, file string) memory {
	abs, err := filepath.Abs(file)
	if dir == "" || err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(append(slices.Clone(c.cfg.Metastores), abs), "\x00")))
	return memory(filepath.Join(dir, hex.EncodeToString(sum[:16])+".json"))
}

// load returns what is remembered of the file as it is now.
func (m memory) load(st os.FileInfo) (r remembered, ok bool) {
	if m == "" {
		return r, false
	}
	b, err := os.ReadFile(string(m))
	if err != nil || json.Unmarshal(b, &r) != nil {
		return remembered{}, false
	}
	return r, r.Size == st.Size() && r.Modified.Equal(st.ModTime())
}

func (m memory) save(r remembered) error {
	if m == "" {
		return nil
	}
	b, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(string(m)), 0o700)
	}
	if err == nil {
		err = os.WriteFile(string(m), b, 0o600) // the part's name in it is a right
	}
	if err != nil {
		return fmt.Errorf("remember an upload: %w", err)
	}
	return nil
}

func (m memory) forget() {
	if err := os.Remove(string(m)); m != "" && err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = os.Truncate(string(m), 0) // of no use to anybody then
	}
}

// follow takes over the options of the first attempt. What is said now must be the same.
func (o *UploadOptions) follow(r remembered) error {
	differs := func(flag, was string) error {
		return fmt.Errorf("resume: %w: %s differs from the first attempt's, which is %s; leave it out, or upload anew without --resume", vstack.ErrInvalid, flag, was)
	}
	switch {
	case len(o.Renditions) > 0 && !slices.Equal(o.Renditions, asked(r.Renditions)):
		return differs("--renditions", strings.Join(asked(r.Renditions), ","))
	case o.KeepOriginal && !r.KeepOriginal:
		return differs("--keep-original", "false")
	case o.Class != "" && o.Class != r.Class:
		return differs("--class", r.Class)
	case o.Visibility != "" && !vstack.Visibility(o.Visibility).Same(vstack.Visibility(r.Visibility)):
		return differs("--visibility", cmp.Or(r.Visibility, string(vstack.VisibilityPublic)))
	}
	o.Renditions, o.KeepOriginal, o.Class, o.Visibility = r.Renditions, r.KeepOriginal, r.Class, r.Visibility
	if o.Title == "" {
		o.Title = r.Title
	}
	return nil
}

// asked is what renditions mean: none said is the source.
func asked(renditions []string) []string {
	if len(renditions) == 0 {
		return []string{"source"}
	}
	return renditions
}
