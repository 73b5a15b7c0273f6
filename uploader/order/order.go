package order

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

const (
	maxField = 4 << 10 // bytes of a field
	maxName  = 255     // bytes of a file's name
)

// Fields are the names that an order knows, beside the file "video".
const Fields = "title, renditions, class, keep_original, visibility, dedup, subtitles and resume"

// Options are what the client asked for; a cut is a function of them and of the file.
type Options struct {
	Title        string             `json:"title"`
	Policy       vstack.ClassPolicy `json:"policy"`
	Renditions   []string           `json:"renditions"`
	KeepOriginal bool               `json:"keep_original"`
	Visibility   vstack.Visibility  `json:"visibility,omitzero"`
	Dedup        bool               `json:"dedup,omitzero"`
	Subtitles    []Subtitles        `json:"subtitles,omitzero"`
	// Ticket is what the file came with, and what it may be canceled with; zero for none.
	Ticket vstack.TicketID `json:"ticket,omitzero"`
}

// Order is what a client says beside the file.
type Order struct {
	Options
	Resume vstack.UploadID `json:"resume,omitzero"`
	Name   string          `json:"name"` // of the file, without directories
	// Said are the fields that the client gave.
	Said []string `json:"said,omitempty"`
}

// Alike compares options as they are written down.
func (o Options) Alike(p Options) bool {
	a, _ := json.Marshal(o) // of texts and flags
	b, _ := json.Marshal(p)
	return bytes.Equal(a, b)
}

// New is an order that says nothing yet.
func New() Order { return Order{Options: Options{Policy: vstack.PolicyAuto}} }

// SetName takes over the file's name, cleaned.
func (o *Order) SetName(name string) { o.Name = fileName(name) }

// Close fills in what depends on everything that was said.
func (o *Order) Close() {
	if o.Title == "" {
		o.Title = titleOf(o.Name)
	}
}

// Set takes one field.
func (o *Order) Set(name, value string) (err error) {
	bad := func(why string) error {
		return fmt.Errorf("form: %w: field %q %s", vstack.ErrFormInvalid, Clean(name), why)
	}
	switch {
	case slices.Contains(o.Said, name):
		return bad("stands there twice")
	case !known(name):
		return bad("is not known; there are " + Fields + ", and the file itself is in the field \"video\"")
	case len(value) > maxField:
		return bad(fmt.Sprintf("is larger than %d bytes", maxField))
	case !utf8.ValidString(value):
		return bad("is not UTF-8")
	}
	o.Said = append(o.Said, name)
	switch name {
	case "title":
		if len(value) > vstack.MaxTitle || strings.ContainsFunc(value, unicode.IsControl) {
			return bad(fmt.Sprintf("wants at most %d bytes without control characters", vstack.MaxTitle))
		}
		o.Title = strings.TrimSpace(value)
	case "class":
		o.Policy = vstack.ClassPolicy(value)
		if !slices.Contains([]vstack.ClassPolicy{vstack.PolicyAuto, vstack.PolicyHot, vstack.PolicyCold}, o.Policy) {
			return bad("wants auto, hot or cold")
		}
	case "renditions":
		for _, r := range strings.Split(value, ",") {
			if r = strings.TrimSpace(r); !ffmpeg.ValidRendition(r) || slices.Contains(o.Renditions, r) {
				return bad("wants source, 1080p, 720p, 480p or 360p, each once, with commas between")
			}
			o.Renditions = append(o.Renditions, r)
		}
	case "keep_original":
		if o.KeepOriginal, err = strconv.ParseBool(value); err != nil {
			return bad("wants true or false")
		}
	case "visibility":
		if o.Visibility, err = vstack.ParseVisibility(value); err != nil {
			return bad("wants public, unlisted or private")
		}
	case "dedup":
		if o.Dedup, err = strconv.ParseBool(value); err != nil {
			return bad("wants true or false")
		}
	case fieldSubtitles:
		var ok bool
		if o.Subtitles, ok = parseSubtitles(value); !ok {
			return bad(fmt.Sprintf("wants at most %d of ID[:LANGUAGE] with commas between, the ids being those that /v1/subtitles answered", maxSubtitles))
		}
	case "resume":
		if o.Resume, err = vstack.ParseUploadID(value); err != nil {
			return bad("wants the id of an upload")
		}
	}
	return nil
}

func known(name string) bool {
	return slices.Contains([]string{"title", "class", "renditions", "keep_original", "visibility", "dedup", "resume", fieldSubtitles}, name)
}

// Follow makes a resumed order that of its first attempt. What it says itself must be
// the same: with other options the slots would hold something else.
func (o *Order) Follow(first Options) error {
	differs := func(field, was string) error {
		return fmt.Errorf("resume: %w: field %q differs from the upload's, which is %s; leave it out, or upload anew", vstack.ErrFormInvalid, field, was)
	}
	for _, name := range o.Said {
		switch {
		case name == "renditions" && !slices.Equal(cut(o.Renditions), cut(first.Renditions)):
			return differs(name, strings.Join(cut(first.Renditions), ","))
		case name == "keep_original" && o.KeepOriginal != first.KeepOriginal:
			return differs(name, strconv.FormatBool(first.KeepOriginal))
		case name == "visibility" && !o.Visibility.Same(first.Visibility):
			return differs(name, cmp.Or(string(first.Visibility), string(vstack.VisibilityPublic)))
		case name == fieldSubtitles && !slices.Equal(o.Subtitles, first.Subtitles):
			return fmt.Errorf("resume: %w: the subtitles differ from the upload's; leave them out, or upload anew", vstack.ErrFormInvalid)
		case name == "class" && o.Policy != first.Policy:
			return differs(name, string(first.Policy))
		}
	}
	o.Options = first
	return nil
}

// cut is what renditions mean: none said is the source.
func cut(renditions []string) []string {
	if len(renditions) == 0 {
		return []string{"source"}
	}
	return renditions
}

// fileName cleans a client's file name for display: it is never used as a path.
func fileName(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > maxName {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

func titleOf(name string) string {
	title := strings.TrimSpace(strings.TrimSuffix(name, filepath.Ext(name)))
	if title == "" {
		return "untitled"
	}
	return title
}

// Clean is a client's word in an answer to it: its start, without control characters.
func Clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
